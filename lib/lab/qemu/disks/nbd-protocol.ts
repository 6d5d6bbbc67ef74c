// The words of the NBD protocol that the server needs: fixed newstyle handshake, simple replies. All numbers are
// big-endian. The protocol is described in doc/proto.md of the NetworkBlockDevice/nbd project.

/** The client broke the protocol, and nothing that follows on its connection can be understood. */
export class NbdProtocolError extends Error {
  override readonly name = "NbdProtocolError";
}

/** The largest payload that every client and server must handle. */
export const MAX_PAYLOAD: number = 32 * 1024 * 1024;
/** The longest option: a name of 4096 bytes and what comes with it, generously. */
const MAX_OPTION = 16 * 1024;

const OPTION_MAGIC = 0x49484156454f5054n; // "IHAVEOPT"
const GREETING_MAGIC = 0x4e42444d41474943n; // "NBDMAGIC"
const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;

const HAS_FLAGS = 1;
const SEND_FLUSH = 4;
const SEND_FUA = 8;
const EXPORT_FLAGS = HAS_FLAGS | SEND_FLUSH | SEND_FUA;

export const OPTION = { EXPORT_NAME: 1, ABORT: 2, LIST: 3, INFO: 6, GO: 7 } as const;

export const REPLY = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  ERR_UNSUP: 0x80000001,
  ERR_INVALID: 0x80000003,
  ERR_UNKNOWN: 0x80000006,
} as const;

const INFO_EXPORT = 0;
const INFO_BLOCK_SIZE = 3;

export const COMMAND = { READ: 0, WRITE: 1, DISCONNECT: 2, FLUSH: 3 } as const;

export const COMMAND_FUA = 1;

export const STATUS = { OK: 0, EIO: 5, EINVAL: 22, ENOSPC: 28 } as const;

export interface Export {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The smallest unit, and what the client had better use. */
  readonly block: { readonly minimum: number; readonly preferred: number };
}

export const CLIENT_FLAGS_LENGTH = 4;
export const OPTION_LENGTH = 16;
export const REQUEST_LENGTH = 28;

export function greeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(GREETING_MAGIC, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
  bytes.writeUInt16BE(FIXED_NEWSTYLE | NO_ZEROES, 16);
  return bytes;
}

export function decodeClientFlags(bytes: Buffer): { readonly noZeroes: boolean } {
  const flags = bytes.readUInt32BE(0);
  if ((flags & ~(FIXED_NEWSTYLE | NO_ZEROES)) !== 0) throw new NbdProtocolError(`client flags 0x${flags.toString(16)}`);
  return { noZeroes: (flags & NO_ZEROES) !== 0 };
}

/** The head of an option; so many bytes of data follow. */
export function decodeOption(bytes: Buffer): { readonly option: number; readonly length: number } {
  if (bytes.readBigUInt64BE(0) !== OPTION_MAGIC) throw new NbdProtocolError("not an option");
  const length = bytes.readUInt32BE(12);
  if (length > MAX_OPTION) throw new NbdProtocolError(`an option of ${length} bytes`);
  return { option: bytes.readUInt32BE(8), length };
}

export function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

/** The name that OPTION.INFO or OPTION.GO asks for; undefined when the data is no such thing. */
export function decodeInfoRequest(data: Buffer): string | undefined {
  if (data.length < 6) return undefined;
  const nameLength = data.readUInt32BE(0);
  if (nameLength > data.length - 6) return undefined;
  // which information the client would like follows; it gets all there is
  const wishes = data.readUInt16BE(4 + nameLength);
  if (data.length !== 6 + nameLength + 2 * wishes) return undefined;
  return data.toString("utf8", 4, 4 + nameLength);
}

/** The answers to OPTION.INFO and OPTION.GO. */
export function infoReplies(option: number, target: Export): Buffer {
  const size = Buffer.alloc(12);
  size.writeUInt16BE(INFO_EXPORT, 0);
  size.writeBigUInt64BE(BigInt(target.size), 2);
  size.writeUInt16BE(EXPORT_FLAGS, 10);
  const block = Buffer.alloc(14);
  block.writeUInt16BE(INFO_BLOCK_SIZE, 0);
  block.writeUInt32BE(target.block.minimum, 2);
  block.writeUInt32BE(target.block.preferred, 6);
  block.writeUInt32BE(MAX_PAYLOAD, 10);
  return Buffer.concat([
    optionReply(option, REPLY.INFO, size),
    optionReply(option, REPLY.INFO, block),
    optionReply(option, REPLY.ACK),
  ]);
}

/** The answers to OPTION.LIST. */
export function listReplies(target: Export): Buffer {
  const name = Buffer.from(target.name);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([
    optionReply(OPTION.LIST, REPLY.SERVER, Buffer.concat([length, name])),
    optionReply(OPTION.LIST, REPLY.ACK),
  ]);
}

/** The answer to OPTION.EXPORT_NAME. */
export function exportReply(target: Export, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(noZeroes ? 10 : 134);
  bytes.writeBigUInt64BE(BigInt(target.size), 0);
  bytes.writeUInt16BE(EXPORT_FLAGS, 8);
  return bytes;
}

export interface Request {
  readonly flags: number;
  readonly command: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

export function decodeRequest(bytes: Buffer): Request {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) throw new NbdProtocolError("not a request");
  const request = {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookie: bytes.readBigUInt64BE(8),
    // what a double cannot hold exactly is beyond the end of every disk
    offset: Number(bytes.readBigUInt64BE(16)),
    length: bytes.readUInt32BE(24),
  };
  // there is no way past a payload that nobody wants to hold
  if (request.command === COMMAND.WRITE && request.length > MAX_PAYLOAD) {
    throw new NbdProtocolError(`a write of ${request.length} bytes`);
  }
  return request;
}

/** What is wrong with a request for this export; STATUS.OK when nothing is. */
export function checkRequest({ flags, command, offset, length }: Request, target: Export): number {
  if ((flags & ~COMMAND_FUA) !== 0) return STATUS.EINVAL;
  if (command === COMMAND.FLUSH) return STATUS.OK;
  if (command !== COMMAND.READ && command !== COMMAND.WRITE) return STATUS.EINVAL;
  const { minimum } = target.block;
  if (length === 0 || length > MAX_PAYLOAD || offset % minimum !== 0 || length % minimum !== 0) return STATUS.EINVAL;
  if (offset + length > target.size) return command === COMMAND.WRITE ? STATUS.ENOSPC : STATUS.EINVAL;
  return STATUS.OK;
}

/** The head of a simple reply; the data of a read follows. */
export function replyHead(cookie: bigint, status: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(REPLY_MAGIC, 0);
  bytes.writeUInt32BE(status, 4);
  bytes.writeBigUInt64BE(cookie, 8);
  return bytes;
}
