// The kernel's side of the packets, written from its headers and not from lib/clog/protocol: what the double of the kernel
// sends, and what it would not understand of an answer.

import os from "node:os";

import type { Flavour, LogRequest } from "../../../lib/clog/protocol/requests";

const { EAGAIN, ESRCH } = os.constants.errno;
export const HEADERS = 36;
export const REQUEST_SIZE = { ulog: 160, clog: 152 } as const;

export interface Outgoing {
  readonly flavour: Flavour;
  readonly uuid: string;
  readonly luid: bigint;
  readonly version: number;
  readonly type: number;
  readonly data: Buffer;
}

/** drivers/md/dm-log-userspace-transfer.c: dm_consult_userspace() and dm_ulog_sendto_server(); drivers/connector/connector.c. */
export function packRequest(request: Outgoing, seq: number): Buffer {
  const { flavour, data } = request;
  const size = REQUEST_SIZE[flavour];
  const length = HEADERS + size + data.length;
  // the skb's length is rounded up, and nothing is aligned to more than 4 bytes
  const datagram = Buffer.alloc(((length + 3) & ~3) + 4).subarray(4);
  datagram.writeUInt32LE(length, 0);
  datagram.writeUInt16LE(3, 4);
  datagram.writeUInt32LE(seq, 8);
  [7, 1, seq, 0].forEach((word, index) => datagram.writeUInt32LE(word, 16 + index * 4));
  datagram.writeUInt16LE(size + data.length, 32);
  if (flavour === "ulog") {
    datagram.writeBigUInt64LE(request.luid, HEADERS);
    datagram.writeUInt32LE(request.version, HEADERS + 140);
  }
  datagram.write(request.uuid, HEADERS + (flavour === "ulog" ? 8 : 0), 128);
  [seq, request.type, data.length].forEach((word, index) =>
    datagram.writeUInt32LE(word, HEADERS + size - 12 + index * 4),
  );
  data.copy(datagram, HEADERS + size);
  return datagram;
}

/** What cn_ulog_callback() and fill_pkg() look at. */
export interface Reply {
  readonly form: "full" | "short" | "incomplete";
  /** Of the connector header in a short one, else of the request. */
  readonly seq: number;
  readonly error: number;
  readonly dataSize: number;
  /** What really came. */
  readonly data: Buffer;
}

/** undefined: connector.c drops it. */
export function unpackReply(datagram: Buffer, flavourOf: (seq: number) => Flavour | undefined): Reply | undefined {
  if (datagram.length < HEADERS) return undefined;
  const length = datagram.readUInt32LE(0);
  const size = datagram.readUInt16LE(32);
  if (length > datagram.length || length < HEADERS + size || length - 16 > 16384) return undefined;
  if (datagram.readUInt32LE(16) !== 7 || datagram.readUInt32LE(20) !== 1) return undefined;
  const connectorSeq = datagram.readUInt32LE(24);
  const none = Buffer.alloc(0);
  if (size === 0) {
    const error = -datagram.readInt32LE(28);
    return { form: "short", seq: connectorSeq, error: error === 0 ? 0 : error, dataSize: 0, data: none };
  }
  const body = datagram.subarray(HEADERS, HEADERS + size);
  const fixed = REQUEST_SIZE[flavourOf(connectorSeq) ?? "ulog"];
  if (size < fixed) return { form: "incomplete", seq: connectorSeq, error: 0, dataSize: 0, data: none };
  return {
    form: "full",
    seq: body.readUInt32LE(fixed - 12),
    error: body.readInt32LE(fixed - 16),
    dataSize: body.readUInt32LE(fixed - 4),
    data: body.subarray(fixed),
  };
}

/** Why the kernel would take the reply to the request for something else than it says, or come to harm. */
export function misunderstanding(request: LogRequest, reply: Reply): string | undefined {
  const { name } = request.body;
  const sizes = dataSizes(request);
  if (reply.form === "incomplete") return "is cut short: the kernel ignores it, and asks again after 15 s";
  if (reply.form === "full" && reply.dataSize !== reply.data.length) {
    return `says that it has ${reply.dataSize} bytes of data, and has ${reply.data.length}: the kernel copies them all`;
  }
  if (reply.error > 0) return `has the positive error ${reply.error}`;
  if (reply.error !== 0) return badError(name, reply, sizes !== undefined);
  if (name === "CTR") return badConstructor(request, reply);
  if (sizes === undefined) return reply.data.length > 0 ? "has data that nobody wants" : undefined;
  if (sizes !== "text" && reply.data.length !== sizes) {
    return `has ${reply.data.length} bytes of data: the kernel uses ${sizes}, some of them from its stack`;
  }
  if (name === "STATUS_INFO" && reply.data.indexOf(0) !== reply.data.length - 1)
    return "is not a text that ends in NUL";
  return badValue(request, reply.data);
}

function dataSizes({ flavour, body }: LogRequest): number | "text" | undefined {
  switch (body.name) {
    case "IS_CLEAN":
    case "IN_SYNC":
      return flavour === "clog" ? 4 : 8;
    case "GET_REGION_SIZE":
    case "GET_SYNC_COUNT":
      return 8;
    case "GET_RESYNC_WORK":
    case "IS_REMOTE_RECOVERING":
      return 16;
    case "STATUS_INFO":
    case "STATUS_TABLE":
      return "text";
    default:
      return undefined;
  }
}

function badError(name: string, reply: Reply, wantsData: boolean): string | undefined {
  if (reply.data.length > 0) return "has an error and data";
  if (reply.error === -EAGAIN && reply.form === "short") return undefined;
  if (name === "IN_SYNC" || name === "IS_CLEAN") return `has the error ${reply.error}, which the kernel takes for "no"`;
  if (reply.error === -EAGAIN || (reply.error === -ESRCH && wantsData)) {
    const again = `makes the kernel ask again (error ${reply.error})`;
    if (wantsData) return `${again} without room for an answer, which then fails with ENOSPC`;
  }
  return undefined;
}

function badConstructor({ flavour, version, body }: LogRequest, reply: Reply): string | undefined {
  const reconnect = body.name === "CTR" && body.reconnect;
  if (reply.data.length === 0) return undefined;
  if (reconnect || flavour === "clog" || version < 2) return "has data that there is no room for: I/O hangs in a loop";
  return reply.data.at(-1) === 0 ? undefined : "names a device without a NUL, which fails the table";
}

function badValue({ flavour, body }: LogRequest, data: Buffer): string | undefined {
  const flag = ["IS_CLEAN", "IN_SYNC", "GET_RESYNC_WORK", "IS_REMOTE_RECOVERING"].includes(body.name);
  if (flag) {
    const value = flavour === "clog" && data.length === 4 ? BigInt(data.readInt32LE()) : data.readBigInt64LE();
    if (value !== 0n && value !== 1n) return `says ${value} instead of 0 or 1`;
  }
  if (body.name === "GET_REGION_SIZE") {
    const size = data.readBigUInt64LE();
    if (size < 2n || size > 2n ** 31n || (size & (size - 1n)) !== 0n) return `has the region size ${size}: a crash`;
  }
  return undefined;
}
