import { CONNECTOR, HEADERS, LAYOUTS, NETLINK, UUID_SIZE } from "./layout";
import { type LogRequest, requestNumber } from "./requests";

/** The headers of a datagram with `length` bytes after them, for those to be filled in. */
export function withHeaders(seq: number, ack: number, length: number): Buffer {
  const datagram = Buffer.alloc(HEADERS + length);
  datagram.writeUInt32LE(datagram.length, NETLINK.length);
  datagram.writeUInt16LE(NETLINK.done, NETLINK.type);
  datagram.writeUInt32LE(CONNECTOR.dm, CONNECTOR.index);
  datagram.writeUInt32LE(CONNECTOR.log, CONNECTOR.value);
  datagram.writeUInt32LE(seq, CONNECTOR.seq);
  datagram.writeUInt32LE(ack, CONNECTOR.ack);
  datagram.writeUInt16LE(length, CONNECTOR.length);
  return datagram;
}

/** A whole datagram with the fields of a request, which an answer to it has, too. */
export function withRequest(request: LogRequest, error: number, data: Buffer): Buffer {
  const layout = LAYOUTS[request.flavour];
  const datagram = withHeaders(request.seq, 0, layout.size + data.length);
  const body = datagram.subarray(HEADERS);
  if (layout.luid !== undefined) body.writeBigUInt64LE(request.luid, layout.luid);
  if (layout.version !== undefined) body.writeUInt32LE(request.version, layout.version);
  body.write(request.uuid, layout.uuid, UUID_SIZE - 1); // as much as fits of one that was no UTF-8
  body.writeInt32LE(error, layout.error);
  body.writeUInt32LE(request.seq, layout.seq);
  body.writeUInt32LE(requestNumber(request.body.name), layout.type);
  body.writeUInt32LE(data.length, layout.dataSize);
  data.copy(body, layout.size);
  return datagram;
}

/** Data of numbers of 8 bytes. */
export function numbers(...values: bigint[]): Buffer {
  const data = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => data.writeBigUInt64LE(value, index * 8));
  return data;
}
