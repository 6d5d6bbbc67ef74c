import fc from "fast-check";

import { readGolden } from "./golden";

const CORPUS = [...readGolden().requests, ...readGolden().malformed].map(({ packet }) => packet);
const WORDS = [0, 1, 8, 17, 18, 0x7f, 0xff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

type Change = (packet: Buffer) => Buffer;

const place = fc.nat(600);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(([at, value]): Change => (packet) => {
    if (at < packet.length) packet[at] = value;
    return packet;
  }),
  fc.tuple(place, fc.constantFrom(...WORDS)).map(([at, value]): Change => (packet) => {
    const word = at & ~3;
    if (word + 4 <= packet.length) packet.writeUInt32LE(value, word);
    return packet;
  }),
  place.map(
    (at): Change =>
      (packet) =>
        packet.subarray(0, at),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(([at, more]): Change => {
    return (packet) => Buffer.concat([packet.subarray(0, at), more, packet.subarray(at)]);
  }),
);

// Lengths that agree, so that what is behind them is looked at.
function consistent(fixed: 152 | 160): Change {
  return (packet) => {
    if (packet.length < 36 + fixed) return packet;
    packet.writeUInt32LE(packet.length, 0);
    packet.writeUInt16LE(packet.length - 36, 32);
    packet.writeUInt32LE(packet.length - 36 - fixed, 32 + fixed);
    return packet;
  };
}

/** Golden datagrams, with something changed in most of them. */
export const mutated: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.constantFrom(...CORPUS),
    fc.array(change, { maxLength: 3 }),
    fc.constantFrom<Change>((packet) => packet, consistent(152), consistent(160)),
  )
  .map(([packet, changes, finish]) => {
    let bytes: Buffer = Buffer.from(packet);
    for (const next of changes) bytes = next(bytes);
    return finish(bytes);
  });
