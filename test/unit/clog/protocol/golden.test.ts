// What is asked and answered, byte for byte as the kernel's definitions have it.
import assert from "node:assert/strict";

import { decodeRequest } from "../../../../lib/clog/protocol/decode";
import { encodeAck, encodeAnswer, encodeError } from "../../../../lib/clog/protocol/encode";
import { MalformedPacket } from "../../../../lib/clog/protocol/envelope";
import { decodeAnswer, encodeRequest } from "../../../../lib/clog/protocol/kernel-side";
import { type LogRequest, REQUEST_NAMES } from "../../../../lib/clog/protocol/requests";

import { type GoldenAnswer, answerOf, isReconnect, readGolden } from "./golden";

const golden = readGolden();

function encode(request: LogRequest, answer: GoldenAnswer): Buffer {
  if ("answer" in answer) return encodeAnswer(request, answerOf(answer.answer));
  return "ack" in answer ? encodeAck(request, answer.ack) : encodeError(request, answer.error);
}

/** At an address that is a multiple of nothing. */
function displaced(packet: Buffer): Uint8Array {
  const bytes = new Uint8Array(packet.length + 1);
  bytes.set(packet, 1);
  return bytes.subarray(1);
}

describe("the cluster log's packets", () => {
  for (const { name, packet, decoded, answers } of golden.requests) {
    it(`${name}: is read, written and answered as the kernel does`, () => {
      assert.deepEqual(decodeRequest(displaced(packet)), decoded);
      const length = packet.readUInt32LE(0);
      assert.equal(encodeRequest(decoded).toString("hex"), packet.toString("hex", 0, length));
      for (const answer of answers) {
        assert.equal(encode(decoded, answer).toString("hex"), answer.packet.toString("hex"));
        const read = decodeAnswer(displaced(answer.packet), decoded);
        assert.equal(read.error, "ack" in answer ? 0 - answer.ack : "error" in answer ? answer.error : 0);
        assert.equal(read.form, "ack" in answer ? "short" : "full");
        if ("answer" in answer) assert.deepEqual(read.answer, understood(decoded, answerOf(answer.answer)));
      }
    });
  }

  for (const { reason, packet } of golden.malformed) {
    it(`refuses ${packet.toString("hex", 0, 40)}…: ${reason}`, () => {
      assert.throws(() => decodeRequest(packet), new MalformedPacket(reason));
    });
  }

  it("are of every type, in both layouts and in each version", () => {
    const kinds = new Set(
      golden.requests.map(({ decoded: { flavour, version, body } }) => `${flavour}${version} ${body.name}`),
    );
    for (const name of REQUEST_NAMES) {
      for (const kind of ["ulog0", "ulog1", "ulog2", "ulog3", "clog0"])
        assert.ok(kinds.has(`${kind} ${name}`), `${kind} ${name}`);
    }
  });

  it("are nothing when they are cut short, anywhere", () => {
    for (const { packet } of golden.requests) {
      const length = packet.readUInt32LE(0);
      for (let size = 0; size < length; size++)
        assert.throws(() => decodeRequest(packet.subarray(0, size)), MalformedPacket);
      assert.doesNotThrow(() => decodeRequest(packet.subarray(0, length)));
    }
  });
});

// The kernel has no room for a device's name in some of the answers that name one.
function understood(request: LogRequest, answer: ReturnType<typeof answerOf>): unknown {
  if (answer.name !== "CTR") return answer;
  const none = request.version < 2 || isReconnect(request.body);
  return none ? { name: "CTR", device: undefined } : answer;
}
