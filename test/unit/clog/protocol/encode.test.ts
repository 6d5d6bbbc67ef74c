// What cannot be sent: every answer that the kernel would take for another.
import assert from "node:assert/strict";
import os from "node:os";

import { encodeAck, encodeAnswer, encodeError } from "../../../../lib/clog/protocol/encode";
import { MalformedPacket } from "../../../../lib/clog/protocol/envelope";
import { decodeAnswer, encodeRequest } from "../../../../lib/clog/protocol/kernel-side";
import type { Answer, LogRequest, RequestBody } from "../../../../lib/clog/protocol/requests";
import { typeError, valueError } from "../../dlmfs/support";

const { EAGAIN, EIO, ESRCH } = os.constants.errno;

function request(body: RequestBody, more: Partial<LogRequest> = {}): LogRequest {
  return { flavour: "ulog", uuid: "LVM-one", luid: 7n, version: 3, seq: 12, body, ...more };
}

const CTR = request({ name: "CTR", words: ["8", "clustered-core", "2"], reconnect: false });
const IN_SYNC = request({ name: "IN_SYNC", region: 3n });
const FLUSH = request({ name: "FLUSH", regions: [] });

describe("an answer to the kernel", () => {
  it("cannot be one to another request", () => {
    assert.throws(() => encodeAnswer(IN_SYNC, { name: "IS_CLEAN", yes: true }), typeError(/an answer to IN_SYNC/));
  });

  it("cannot be an error in the long form where data is wanted, and cannot be EAGAIN in it", () => {
    assert.throws(() => encodeError(IN_SYNC, -EIO), typeError(/wants no data/));
    assert.throws(() => encodeError(FLUSH, -EAGAIN), valueError(/other than EAGAIN/));
    for (const errno of [0, EIO, -4096, -1.5, Number.NaN])
      assert.throws(() => encodeError(FLUSH, errno), valueError(/errno/));
    assert.equal(decodeAnswer(encodeError(FLUSH, -ESRCH), FLUSH).error, -ESRCH);
  });

  it("cannot be done in the short form where data is wanted", () => {
    assert.throws(() => encodeAck(IN_SYNC, 0), typeError(/wants no data/));
    for (const errno of [-EIO, 4096, 1.5, Number.NaN])
      assert.throws(() => encodeAck(IN_SYNC, errno), valueError(/errno/));
    assert.deepEqual(decodeAnswer(encodeAck(IN_SYNC, EAGAIN), IN_SYNC), {
      form: "short",
      seq: 12,
      error: -EAGAIN,
      answer: undefined,
    });
  });

  it("cannot have a region size that crashes the kernel", () => {
    const asked = request({ name: "GET_REGION_SIZE" });
    for (const size of [0, 1, 3, 1000, -2, 2 ** 32, 2.5, Number.NaN]) {
      assert.throws(() => encodeAnswer(asked, { name: "GET_REGION_SIZE", size }), valueError(/power of two/));
    }
    for (const size of [2, 1024, 2 ** 31]) encodeAnswer(asked, { name: "GET_REGION_SIZE", size });
  });

  it("cannot have numbers that are none", () => {
    const wrong: [RequestBody, (value: number) => Answer][] = [
      [{ name: "GET_SYNC_COUNT" }, (count) => ({ name: "GET_SYNC_COUNT", count })],
      [{ name: "GET_RESYNC_WORK" }, (region) => ({ name: "GET_RESYNC_WORK", region })],
      [
        { name: "IS_REMOTE_RECOVERING", region: 0n },
        (firstUnsynced) => ({ name: "IS_REMOTE_RECOVERING", recovering: true, firstUnsynced }),
      ],
    ];
    for (const [body, answer] of wrong) {
      for (const value of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        assert.throws(() => encodeAnswer(request(body), answer(value)), valueError(/whole number/));
      }
    }
  });

  it("names a device in at most 127 bytes, and only where the kernel has room for one", () => {
    const device = `/dev/${"ü".repeat(61)}`;
    const named = { name: "CTR", device } as const;
    assert.deepEqual(decodeAnswer(encodeAnswer(CTR, named), CTR).answer, named);
    for (const wrong of [`${device}x`, "", "/dev/\0x"]) {
      assert.throws(() => encodeAnswer(CTR, { name: "CTR", device: wrong }), valueError(/1 to 127 bytes/));
    }
    const reconnect = request({ name: "CTR", words: ["8"], reconnect: true });
    for (const other of [reconnect, { ...CTR, version: 1 }, { ...CTR, flavour: "clog", version: 0 } as const]) {
      assert.deepEqual(decodeAnswer(encodeAnswer(other, named), other).answer, { name: "CTR", device: undefined });
    }
  });

  it("has a text without NUL that fits into one datagram", () => {
    const asked = request({ name: "STATUS_INFO" });
    const longest = "x".repeat(1024 - 36 - 160 - 1);
    assert.equal(encodeAnswer(asked, { name: "STATUS_INFO", text: longest }).length, 1024);
    for (const text of [`${longest}x`, "a\0b"]) {
      assert.throws(() => encodeAnswer(asked, { name: "STATUS_INFO", text }), valueError(/at most 827 bytes/));
    }
  });

  it("fits a request whose uuid was no UTF-8", () => {
    const asked = { ...FLUSH, uuid: "\ufffd".repeat(128) };
    assert.equal(encodeAnswer(asked, { name: "FLUSH" }).length, encodeRequest(FLUSH).length);
  });
});

describe("reading an answer as the kernel does", () => {
  const answer = encodeAnswer(IN_SYNC, { name: "IN_SYNC", yes: true });
  const DATA = 196;

  for (const [title, asked, change, reason] of [
    ["of another number", { ...IN_SYNC, seq: 13 }, () => undefined, "it answers another request"],
    ["of another type", IN_SYNC, (d: Buffer) => d.writeUInt8(7, 188), "it answers another request"],
    ["with a flag of 2", IN_SYNC, (d: Buffer) => d.writeUInt8(2, DATA), "its flag is neither 0 nor 1"],
    ["with a flag of 2^32", IN_SYNC, (d: Buffer) => d.writeUInt8(1, DATA + 4), "its flag is neither 0 nor 1"],
    ["with another data size", IN_SYNC, (d: Buffer) => d.writeUInt8(7, 192), "its lengths differ"],
    ["with an error and data", IN_SYNC, (d: Buffer) => d.writeInt32LE(-EIO, 180), "it has an error and data"],
    ["with a positive error", IN_SYNC, (d: Buffer) => d.writeInt32LE(EIO, 180), "its error is positive"],
    ["that is cut short", IN_SYNC, (d: Buffer) => d.writeUInt16LE(100, 32), "it is no whole answer"],
    [
      "that makes the kernel forget its room",
      IN_SYNC,
      (d: Buffer) => d.writeInt32LE(-EAGAIN, 180),
      "the kernel would ask again without room for an answer",
    ],
  ] as const) {
    it(`refuses one ${title}`, () => {
      const changed = Buffer.from(answer);
      change(changed);
      assert.throws(() => decodeAnswer(changed, asked), new MalformedPacket(reason));
    });
  }

  it("refuses one that is too short or too long for its type", () => {
    const count = encodeAnswer(request({ name: "GET_SYNC_COUNT" }), { name: "GET_SYNC_COUNT", count: 1 });
    const asked = request({ name: "GET_RESYNC_WORK" });
    count.writeUInt32LE(12, 188);
    assert.throws(() => decodeAnswer(count, asked), new MalformedPacket("it has 8 bytes of data instead of 16"));
    const short = encodeAck(FLUSH, 0);
    assert.throws(() => decodeAnswer(short, IN_SYNC), new MalformedPacket("it has none of the data"));
  });
});
