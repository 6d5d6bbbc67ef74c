import { MalformedPacket, openEnvelope } from "./envelope";
import { GROUP_MAX, LAYOUTS, type Layout, UUID_SIZE } from "./layout";
import { type Flavour, type LogRequest, REQUEST_NAMES, type RequestBody, type RequestName } from "./requests";

const REGION = 8;

/**
 * A request of the kernel, by the rules of csrc/clog/codec.cc and with its reasons.
 *
 * @param datagram from its nlmsghdr on; what is behind the length in there is not looked at
 * @throws MalformedPacket
 */
export function decodeRequest(datagram: Uint8Array): LogRequest {
  const { seq, ack, body } = openEnvelope(datagram);
  if (ack !== 0) throw new MalformedPacket("it is an acknowledgement");
  const [flavour, name] = recognise(body, seq);
  const layout = LAYOUTS[flavour];
  return {
    flavour,
    uuid: readUuid(body, layout),
    luid: layout.luid === undefined ? 0n : body.readBigUInt64LE(layout.luid),
    version: layout.version === undefined ? 0 : body.readUInt32LE(layout.version),
    seq,
    body: readBody(flavour, name, body.subarray(layout.size)),
  };
}

function typeOf(body: Buffer, layout: Layout): RequestName | undefined {
  return REQUEST_NAMES[(body.readUInt32LE(layout.type) & 0xff) - 1]; // the other bits are reserved
}

// The lengths and the type alone do not tell the layouts apart: an older request for region 5 has 8 bytes of data, and read
// as a newer one, it is a RESUME without any. But then its error is the older one's type, and a request's error is 0; and
// its number is not the connector header's.
function recognise(body: Buffer, seq: number): [Flavour, RequestName] {
  for (const flavour of ["ulog", "clog"] as const) {
    const layout = LAYOUTS[flavour];
    if (body.length < layout.size || body.readUInt32LE(layout.dataSize) !== body.length - layout.size) continue;
    const name = typeOf(body, layout);
    if (name === undefined || body.readInt32LE(layout.error) !== 0) continue;
    if (body.readUInt32LE(layout.seq) === seq) return [flavour, name];
  }
  throw new MalformedPacket("it is a request of neither layout");
}

function readUuid(body: Buffer, layout: Layout): string {
  const field = body.subarray(layout.uuid, layout.uuid + UUID_SIZE);
  const end = field.indexOf(0);
  if (end === 0) throw new MalformedPacket("its uuid is empty");
  if (end < 0) throw new MalformedPacket("its uuid has no end");
  return field.toString("utf8", 0, end);
}

function readBody(flavour: Flavour, name: RequestName, data: Buffer): RequestBody {
  switch (name) {
    case "CTR":
      return readConstructor(data);
    case "IS_CLEAN":
    case "IN_SYNC":
    case "IS_REMOTE_RECOVERING":
      check(data.length === REGION);
      return { name, region: data.readBigUInt64LE() };
    case "MARK_REGION":
    case "CLEAR_REGION":
      check(isGroup(flavour, data, 1));
      return { name, regions: readRegions(data) };
    case "FLUSH":
      check(isGroup(flavour, data, 0));
      return { name, regions: readRegions(data) };
    case "SET_REGION_SYNC":
      check(data.length === REGION + 8);
      return { name, region: data.readBigUInt64LE(), inSync: data.readBigInt64LE(REGION) !== 0n };
    default:
      check(data.length === 0);
      return { name };
  }
}

// A NUL can only be its end, and is there when the kernel asks for a log that it is using.
function readConstructor(data: Buffer): RequestBody {
  const end = data.indexOf(0);
  check(data.length > 0 && end !== 0 && (end < 0 || end === data.length - 1));
  const text = data.toString("utf8", 0, end < 0 ? data.length : end);
  return { name: "CTR", words: text.split(" ").filter((word) => word !== ""), reconnect: end >= 0 };
}

// The older kernel names one region at a time, and none in a FLUSH.
function isGroup(flavour: Flavour, data: Buffer, least: number): boolean {
  const count = data.length / REGION;
  return flavour === "clog" ? count === least : Number.isInteger(count) && count >= least && count <= GROUP_MAX;
}

function readRegions(data: Buffer): bigint[] {
  return Array.from({ length: data.length / REGION }, (_, index) => data.readBigUInt64LE(index * REGION));
}

function check(right: boolean): void {
  if (!right) throw new MalformedPacket("its data is not of its type");
}
