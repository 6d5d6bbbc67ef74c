import assert from "node:assert/strict";
import { Duplex } from "node:stream";

import { framed, FrameSplitter, MAX_FRAME } from "../../../lib/lab/qemu/frames";
import { Switch } from "../../../lib/lab/qemu/switch";

/** The switch's end of a cable; the test is the node at the other end. */
class Cable extends Duplex {
  readonly #splitter = new FrameSplitter();
  received: Buffer[] = [];
  stuck = false;

  override _read(): void {
    // frames are pushed by send()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.received.push(...this.#splitter.push(chunk));
    if (!this.stuck) done();
  }

  send(...frames: Buffer[]): void {
    for (const frame of frames) this.push(framed(frame));
  }

  texts(): string[] {
    return this.received.map((frame) => frame.toString("utf8", 14));
  }
}

const BROADCAST = "ffffffffffff";

function mac(node: number): string {
  return `52540000000${node}`;
}

function frame(to: string, from: string, text: string): Buffer {
  return Buffer.concat([Buffer.from(to + from + "88b5", "hex"), Buffer.from(text)]);
}

async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
}

function plug(count: number): { network: Switch; cables: Cable[] } {
  const network = new Switch();
  const cables = Array.from({ length: count }, () => new Cable());
  cables.forEach((cable, index) => {
    network.attach(index + 1, cable);
  });
  return { network, cables };
}

describe("lab: frames of QEMU's stream", () => {
  const first = frame(mac(1), mac(2), "one");
  const second = frame(mac(1), mac(2), "second");
  const stream = Buffer.concat([framed(first), framed(second)]);

  it("are found wherever the stream is cut", () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const splitter = new FrameSplitter();
      const found = [...splitter.push(stream.subarray(0, cut)), ...splitter.push(stream.subarray(cut))];
      assert.deepEqual(found, [first, second], `cut at ${cut}`);
    }
  });

  it("are found byte by byte", () => {
    const splitter = new FrameSplitter();
    const found = [...stream].flatMap((byte) => splitter.push(Buffer.from([byte])));
    assert.deepEqual(found, [first, second]);
  });

  it("are refused when the length cannot be one", () => {
    for (const length of [0, 13, MAX_FRAME + 1, 0xffffffff]) {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length);
      assert.throws(() => new FrameSplitter().push(header), RangeError, String(length));
    }
  });
});

describe("lab: the switch", () => {
  it("sends a broadcast to everybody else", async () => {
    const { cables } = plug(3);
    cables[0]!.send(frame(BROADCAST, mac(1), "who"));
    await quiet();
    assert.deepEqual(
      cables.map((cable) => cable.texts()),
      [[], ["who"], ["who"]],
    );
  });

  it("floods what it has not learned, and learns from every frame", async () => {
    const { cables } = plug(3);
    cables[0]!.send(frame(mac(2), mac(1), "flood"));
    await quiet();
    cables[1]!.send(frame(mac(1), mac(2), "answer"));
    await quiet();
    cables[0]!.send(frame(mac(2), mac(1), "known"));
    await quiet();
    assert.deepEqual(
      cables.map((cable) => cable.texts()),
      [["answer"], ["flood", "known"], ["flood"]],
    );
  });

  it("follows an address that moves to another port", async () => {
    const { cables } = plug(3);
    cables[0]!.send(frame(BROADCAST, mac(1), "here"));
    await quiet();
    cables[2]!.send(frame(BROADCAST, mac(1), "there"));
    await quiet();
    cables[1]!.send(frame(mac(1), mac(2), "found"));
    await quiet();
    assert.deepEqual(cables[0]!.texts(), ["there"]);
    assert.deepEqual(cables[2]!.texts(), ["here", "found"]);
  });

  it("never sends a frame back to where it came from", async () => {
    const { cables } = plug(2);
    cables[0]!.send(frame(BROADCAST, mac(1), "a"), frame(mac(1), mac(3), "b"));
    await quiet();
    assert.deepEqual(cables[0]!.texts(), []);
    assert.deepEqual(cables[1]!.texts(), ["a"]);
  });

  it("unplugs a peer that breaks the framing, and the others go on", async () => {
    const { cables } = plug(3);
    cables[0]!.push(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    await quiet();
    assert.equal(cables[0]!.destroyed, true);
    cables[1]!.send(frame(BROADCAST, mac(2), "still"));
    await quiet();
    assert.deepEqual(cables[2]!.texts(), ["still"]);
  });

  it("drops frames for a node that went away, and takes its next cable", async () => {
    const { network, cables } = plug(2);
    cables[1]!.send(frame(BROADCAST, mac(2), "hello"));
    await quiet();
    cables[1]!.destroy();
    await quiet();
    cables[0]!.send(frame(mac(2), mac(1), "lost"));
    await quiet();
    const again = new Cable();
    network.attach(2, again);
    cables[0]!.send(frame(mac(2), mac(1), "back"));
    await quiet();
    assert.deepEqual(again.texts(), ["back"]);
  });

  it("drops frames for a node that does not take them, and keeps its memory", async () => {
    const { cables } = plug(3);
    cables[1]!.stuck = true;
    const big = frame(BROADCAST, mac(1), "x".repeat(60_000));
    for (let count = 0; count < 200; count++) {
      cables[0]!.send(big);
      if (count % 10 === 0) await quiet();
    }
    await quiet();
    assert.equal(cables[2]!.received.length, 200);
    assert.ok(cables[1]!.writableLength < 5 * 1024 * 1024, `${cables[1]!.writableLength} bytes are waiting`);
  });

  it("cuts groups of nodes from each other, and nodes in no group are one more", async () => {
    const { network, cables } = plug(4);
    network.partition([[1], [2]]);
    cables[0]!.send(frame(BROADCAST, mac(1), "a"));
    cables[1]!.send(frame(BROADCAST, mac(2), "b"));
    cables[2]!.send(frame(BROADCAST, mac(3), "c"));
    await quiet();
    assert.deepEqual(
      cables.map((cable) => cable.texts()),
      [[], [], [], ["c"]],
    );
    network.heal();
    cables[0]!.send(frame(BROADCAST, mac(1), "d"));
    await quiet();
    assert.deepEqual(
      cables.map((cable) => cable.texts()),
      [[], ["d"], ["d"], ["c", "d"]],
    );
  });

  it("cuts what it had learned, too", async () => {
    const { network, cables } = plug(2);
    cables[1]!.send(frame(BROADCAST, mac(2), "learn"));
    await quiet();
    network.partition([[1], [2]]);
    cables[0]!.send(frame(mac(2), mac(1), "lost"));
    await quiet();
    assert.deepEqual(cables[1]!.texts(), []);
  });

  it("loses frames of one link, both ways, and no others", async () => {
    const { network, cables } = plug(3);
    network.loss([2, 1], 1);
    for (const node of [1, 2, 3]) cables[node - 1]!.send(frame(BROADCAST, mac(node), `from ${node}`));
    await quiet();
    assert.deepEqual(
      cables.map((cable) => cable.texts()),
      [["from 3"], ["from 3"], ["from 1", "from 2"]],
    );
    assert.deepEqual(network.faults, [{ link: [1, 2], loss: 100, delay: 0 }]);
    network.loss([1, 2], 0);
    assert.deepEqual(network.faults, []);
  });

  it("loses about as many frames as it was told", async () => {
    const { network, cables } = plug(2);
    network.loss([1, 2], 0.3);
    const count = 2000;
    for (let sent = 0; sent < count; sent++) cables[0]!.send(frame(BROADCAST, mac(1), "x"));
    await quiet();
    await quiet();
    const share = cables[1]!.received.length / count;
    // 0.3 +- 8 standard deviations
    assert.ok(share > 0.618 && share < 0.782, String(share));
  });

  it("delays frames of one link in their order, and a cut loses those on the way", async () => {
    const { network, cables } = plug(2);
    network.delay([1, 2], 40);
    for (const text of ["a", "b", "c"]) cables[0]!.send(frame(BROADCAST, mac(1), text));
    await quiet();
    assert.deepEqual(cables[1]!.texts(), []);
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.deepEqual(cables[1]!.texts(), ["a", "b", "c"]);
    cables[0]!.send(frame(BROADCAST, mac(1), "late"));
    await quiet();
    network.partition([[1], [2]]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.deepEqual(cables[1]!.texts(), ["a", "b", "c"]);
    network.close();
  });
});
