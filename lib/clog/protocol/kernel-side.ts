// What the kernel does with these packets: for tests and tools.

import os from "node:os";

import { MalformedPacket, openEnvelope } from "./envelope";
import { LAYOUTS, type Layout, NETLINK, wantsData } from "./layout";
import { numbers, withRequest } from "./packet";
import { type Answer, type LogRequest, REQUEST_NAMES, type RequestBody } from "./requests";

// After which it asks again: drivers/md/dm-log-userspace-transfer.c and -base.c.
const FORGETFUL: ReadonlySet<number> = new Set([-os.constants.errno.EAGAIN, -os.constants.errno.ESRCH]);

/** An answer, decoded. */
export interface ReadAnswer {
  /** `short`: the connector header alone. */
  readonly form: "full" | "short";
  readonly seq: number;
  /** 0 or a negative errno. */
  readonly error: number;
  /** Undefined with an error, and of a short one. */
  readonly answer: Answer | undefined;
}

/** A request as the kernel sends it, but for the padding behind it. */
export function encodeRequest(request: LogRequest): Buffer {
  const datagram = withRequest(request, 0, requestData(request.body));
  datagram.writeUInt32LE(request.seq, NETLINK.seq); // of an answer's it takes no notice
  return datagram;
}

function requestData(body: RequestBody): Buffer {
  switch (body.name) {
    case "CTR":
      return Buffer.from(body.words.join(" ") + (body.reconnect ? "\0" : ""));
    case "IS_CLEAN":
    case "IN_SYNC":
    case "IS_REMOTE_RECOVERING":
      return numbers(body.region);
    case "MARK_REGION":
    case "CLEAR_REGION":
    case "FLUSH":
      return numbers(...body.regions);
    case "SET_REGION_SYNC":
      return numbers(body.region, body.inSync ? 1n : 0n);
    default:
      return Buffer.alloc(0);
  }
}

/**
 * Reads an answer to a request, and takes nothing that the kernel would misunderstand: lengths that differ, data that is not
 * the whole of what was asked for, flags other than 0 and 1.
 *
 * @throws MalformedPacket
 */
export function decodeAnswer(datagram: Uint8Array, request: LogRequest): ReadAnswer {
  const { seq, ack, body } = openEnvelope(datagram);
  if (seq !== request.seq) throw new MalformedPacket("it answers another request");
  if (body.length === 0) {
    if (ack === 0 && wantsData(request.body.name)) throw new MalformedPacket("it has none of the data");
    return { form: "short", seq, error: ack === 0 ? 0 : -ack, answer: undefined };
  }
  const layout = LAYOUTS[request.flavour];
  if (ack !== 0 || body.length < layout.size) throw new MalformedPacket("it is no whole answer");
  if (body.readUInt32LE(layout.dataSize) !== body.length - layout.size) throw new MalformedPacket("its lengths differ");
  checkSame(body, layout, request);
  const error = body.readInt32LE(layout.error);
  if (error > 0) throw new MalformedPacket("its error is positive");
  if (FORGETFUL.has(error) && wantsData(request.body.name)) {
    throw new MalformedPacket("the kernel would ask again without room for an answer");
  }
  const data = body.subarray(layout.size);
  if (error !== 0 && data.length > 0) throw new MalformedPacket("it has an error and data");
  return { form: "full", seq, error, answer: error === 0 ? readAnswer(request, layout, data) : undefined };
}

function checkSame(body: Buffer, layout: Layout, request: LogRequest): void {
  const type = REQUEST_NAMES[body.readUInt32LE(layout.type) - 1];
  if (body.readUInt32LE(layout.seq) !== request.seq || type !== request.body.name) {
    throw new MalformedPacket("it answers another request");
  }
}

function readAnswer(request: LogRequest, layout: Layout, data: Buffer): Answer {
  const { name } = request.body;
  switch (name) {
    case "CTR":
      if (data.length > 0 && (request.version < 2 || (request.body as { reconnect: boolean }).reconnect)) {
        throw new MalformedPacket("it has data that there is no room for");
      }
      return { name, device: data.length === 0 ? undefined : readText(data) };
    case "GET_REGION_SIZE":
      return { name, size: readCount(whole(data, 8), 0) };
    case "IS_CLEAN":
    case "IN_SYNC":
      return { name, yes: readFlag(whole(data, layout.flagSize)) };
    case "GET_RESYNC_WORK":
      return { name, region: readFlag(whole(data, 16)) ? readCount(data, 8) : undefined };
    case "GET_SYNC_COUNT":
      return { name, count: readCount(whole(data, 8), 0) };
    case "STATUS_INFO":
      return { name, text: readText(data) };
    case "STATUS_TABLE":
      if (data.at(-1) !== 0x20) throw new MalformedPacket("its text does not end in a blank");
      return { name, text: data.toString("utf8", 0, data.length - 1) };
    case "IS_REMOTE_RECOVERING":
      return { name, recovering: readFlag(whole(data, 16)), firstUnsynced: readCount(data, 8) };
    default:
      whole(data, 0);
      return { name };
  }
}

function whole(data: Buffer, size: number): Buffer {
  if (data.length !== size) throw new MalformedPacket(`it has ${data.length} bytes of data instead of ${size}`);
  return data;
}

function readCount(data: Buffer, at: number): number {
  return Number(data.readBigUInt64LE(at));
}

function readFlag(data: Buffer): boolean {
  const flag = data.length === 4 ? BigInt(data.readInt32LE()) : data.readBigInt64LE();
  if (flag !== 0n && flag !== 1n) throw new MalformedPacket("its flag is neither 0 nor 1");
  return flag === 1n;
}

function readText(data: Buffer): string {
  if (data.indexOf(0) !== data.length - 1) throw new MalformedPacket("its text does not end in its only NUL");
  return data.toString("utf8", 0, data.length - 1);
}
