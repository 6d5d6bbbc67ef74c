// The network block device protocol, as far as QEMU speaks it: fixed newstyle negotiation and simple replies. (The NBD
// project's doc/proto.md. Numbers are big-endian.)

const MAGIC = Buffer.from("NBDMAGIC");
const OPTION_MAGIC = Buffer.from("IHAVEOPT");
const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;

export const GREETING: Buffer = Buffer.concat([MAGIC, OPTION_MAGIC, u16(FIXED_NEWSTYLE | NO_ZEROES)]);

export const CLIENT_FLAGS_LENGTH = 4;

export function wantsNoZeroes(flags: Buffer): boolean {
  return (flags.readUInt32BE() & NO_ZEROES) !== 0;
}

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;
export const OPTION_HEADER_LENGTH = 16;
/** An export's name has at most 4096 bytes. */
const MAX_OPTION_LENGTH = 8192;

export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export function optionHeader(data: Buffer): { option: number; length: number } {
  const length = data.readUInt32BE(12);
  if (!data.subarray(0, 8).equals(OPTION_MAGIC) || length > MAX_OPTION_LENGTH) throw new ProtocolError("no option");
  return { option: data.readUInt32BE(8), length };
}

const REPLY = { ack: 1, server: 2, info: 3, unsupported: 2 ** 31 + 1 } as const;
const REPLY_MAGIC = Buffer.from("0003e889045565a9", "hex");

function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([REPLY_MAGIC, u32(option), u32(type), u32(data.length), data]);
}

const HAS_FLAGS = 1;
const SEND_FLUSH = 4;
const SEND_FUA = 8;
const EXPORT_FLAGS = HAS_FLAGS | SEND_FLUSH | SEND_FUA;

export const SECTOR_BYTES = 512;
export const MAX_PAYLOAD: number = 32 * 1024 * 1024;
const PREFERRED = 4096;
const INFO = { export: 0, blockSize: 3 } as const;

/** The answer to an option, whatever name of an export it gives: there is one on each socket. */
export function answerOption(option: number, size: number): Buffer {
  switch (option) {
    case OPTION.info:
    case OPTION.go:
      return Buffer.concat([
        optionReply(option, REPLY.info, Buffer.concat([u16(INFO.export), u64(size), u16(EXPORT_FLAGS)])),
        optionReply(
          option,
          REPLY.info,
          Buffer.concat([u16(INFO.blockSize), u32(SECTOR_BYTES), u32(PREFERRED), u32(MAX_PAYLOAD)]),
        ),
        optionReply(option, REPLY.ack),
      ]);
    case OPTION.list:
      return Buffer.concat([optionReply(option, REPLY.server, u32(0)), optionReply(option, REPLY.ack)]);
    case OPTION.abort:
      return optionReply(option, REPLY.ack);
    default:
      return optionReply(option, REPLY.unsupported);
  }
}

/** The answer to the one option that has an answer of its own form. */
export function answerExportName(size: number, noZeroes: boolean): Buffer {
  return Buffer.concat([u64(size), u16(EXPORT_FLAGS), Buffer.alloc(noZeroes ? 0 : 124)]);
}

export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
export const REQUEST_LENGTH = 28;
const REQUEST_MAGIC = 0x25609513;
const FUA = 1;

export interface Request {
  readonly command: number;
  readonly durable: boolean;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
}

export function parseRequest(data: Buffer): Request {
  const length = data.readUInt32BE(24);
  if (data.readUInt32BE() !== REQUEST_MAGIC || length > MAX_PAYLOAD) throw new ProtocolError("no request");
  return {
    durable: (data.readUInt16BE(4) & FUA) !== 0,
    command: data.readUInt16BE(6),
    cookie: data.subarray(8, 16),
    // beyond 2^53 it is beyond any disk, too
    offset: Number(data.readBigUInt64BE(16)),
    length,
  };
}

export const ERROR = { none: 0, io: 5, invalid: 22, noSpace: 28 } as const;
const SIMPLE_REPLY_MAGIC = 0x67446698;

export function reply(cookie: Buffer, error: number): Buffer {
  return Buffer.concat([u32(SIMPLE_REPLY_MAGIC), u32(error), cookie]);
}

function u16(value: number): Buffer {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(value);
  return data;
}

function u32(value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return data;
}

function u64(value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeBigUInt64BE(BigInt(value));
  return data;
}
