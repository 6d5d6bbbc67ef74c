// The framing of QEMU's `-netdev stream`: each Ethernet frame after its length in four bytes, big-endian.

const HEADER = 4;
/** The largest frame QEMU itself would take. */
export const MAX_FRAME: number = 4096 + 65536;
const MIN_FRAME = 14;

/** Cuts the byte stream of a network peer into frames. Throws when the peer does not keep to the framing. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const frames: Buffer[] = [];
    while (data.length >= HEADER) {
      const length = data.readUInt32BE(0);
      if (length < MIN_FRAME || length > MAX_FRAME) throw new RangeError(`a frame of ${length} bytes`);
      if (data.length < HEADER + length) break;
      frames.push(data.subarray(HEADER, HEADER + length));
      data = data.subarray(HEADER + length);
    }
    this.#rest = data;
    return frames;
  }
}

export function framed(frame: Buffer): Buffer {
  const packet = Buffer.allocUnsafe(HEADER + frame.length);
  packet.writeUInt32BE(frame.length, 0);
  frame.copy(packet, HEADER);
  return packet;
}
