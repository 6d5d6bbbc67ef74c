import assert from "node:assert/strict";
import { PassThrough } from "node:stream";

import { Intake, IntakeEnd } from "../../../lib/lab/qemu/disks/intake";
import { random } from "../../../lib/lab/qemu/disks/random";
import { seed } from "../../kernel/support/seed";

describe("lab: bytes taken from a stream", () => {
  it("are those that came, however they are cut on either side", async () => {
    const from = seed();
    for (let round = 0; round < 20; round++) {
      const next = random(from + round);
      const bytes = Buffer.from(Array.from({ length: 20_000 }, () => Math.floor(next() * 256)));
      const stream = new PassThrough();
      const intake = new Intake(stream);
      const largest = [2, 50, 9000][round % 3]!;
      const send = async (): Promise<void> => {
        for (let sent = 0; sent < bytes.length;) {
          const length = 1 + Math.floor(next() * largest);
          stream.write(bytes.subarray(sent, sent + length));
          sent += length;
          if (next() < 0.1) await new Promise((resolve) => setImmediate(resolve));
        }
        stream.end();
      };
      const sending = send();
      for (let taken = 0; taken < bytes.length;) {
        const length = Math.min(bytes.length - taken, Math.floor(next() * 5000));
        const portion = Buffer.concat(await intake.pieces(length));
        assert.ok(portion.equals(bytes.subarray(taken, taken + length)), `seed ${from}, round ${round}, at ${taken}`);
        taken += length;
      }
      await sending;
      await assert.rejects(intake.bytes(1), IntakeEnd);
    }
  });

  it("are not copied when they are many", async () => {
    const stream = new PassThrough();
    const intake = new Intake(stream);
    const big = Buffer.alloc(100_000);
    stream.write(big);
    const [piece] = await intake.pieces(60_000);
    assert.equal(piece?.buffer, big.buffer);
  });

  it("are few objects when they come one by one", async () => {
    const stream = new PassThrough();
    const intake = new Intake(stream);
    const sending = (async (): Promise<void> => {
      for (let count = 0; count < 10_000; count++) {
        stream.write(Buffer.from([count % 256]));
        if (count % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const pieces = await intake.pieces(10_000);
    await sending;
    assert.ok(pieces.length < 300, `${pieces.length} pieces`);
    assert.equal(Buffer.concat(pieces)[9999], 9999 % 256);
  });

  it("stay with the sender when nobody takes them", async () => {
    const stream = new PassThrough({ highWaterMark: 1024 });
    const intake = new Intake(stream);
    const chunk = Buffer.alloc(100_000, 1);
    for (let count = 0; count < 20; count++) stream.write(chunk);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(stream.isPaused(), true);
    assert.ok(stream.writableLength + stream.readableLength > 1_500_000);
    assert.equal((await intake.bytes(2_000_000)).length, 2_000_000);
  });
});
