import { CONNECTOR, HEADERS, NETLINK } from "./layout";

/** A datagram that is not what it should be; the message says what about it. */
export class MalformedPacket extends Error {
  override readonly name = "MalformedPacket";
}

/** What the headers say, and what is behind them. */
export interface Envelope {
  readonly seq: number;
  readonly ack: number;
  readonly body: Buffer;
}

/**
 * Reads the headers by their own lengths: the kernel pads what it sends.
 * @throws MalformedPacket
 */
export function openEnvelope(datagram: Uint8Array): Envelope {
  const bytes = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (bytes.length < HEADERS) throw new MalformedPacket("it is shorter than its headers");
  const length = bytes.readUInt32LE(NETLINK.length);
  if (length < HEADERS) throw new MalformedPacket("its netlink length is less than its headers");
  if (length > bytes.length) throw new MalformedPacket("its netlink length is more than was received");
  if (bytes.readUInt16LE(NETLINK.type) !== NETLINK.done) throw new MalformedPacket("its netlink type is not DONE");
  if (bytes.readUInt32LE(CONNECTOR.index) !== CONNECTOR.dm || bytes.readUInt32LE(CONNECTOR.value) !== CONNECTOR.log) {
    throw new MalformedPacket("its connector id is not 7:1");
  }
  const size = bytes.readUInt16LE(CONNECTOR.length);
  const ack = bytes.readUInt32LE(CONNECTOR.ack);
  if (size > length - HEADERS) throw new MalformedPacket("its connector length is more than its netlink length");
  return { seq: bytes.readUInt32LE(CONNECTOR.seq), ack, body: bytes.subarray(HEADERS, HEADERS + size) };
}
