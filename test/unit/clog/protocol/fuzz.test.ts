// Whatever comes, and whatever a log answers: the kernel is told what was meant, or nothing.
import assert from "node:assert/strict";

import fc from "fast-check";

import { decodeRequest } from "../../../../lib/clog/protocol/decode";
import { encodeAck, encodeAnswer, encodeError } from "../../../../lib/clog/protocol/encode";
import { MalformedPacket } from "../../../../lib/clog/protocol/envelope";
import { decodeAnswer } from "../../../../lib/clog/protocol/kernel-side";
import type { Answer, LogRequest } from "../../../../lib/clog/protocol/requests";
import { runs } from "../../dlmfs/support";
import { misunderstanding, unpackReply } from "../kernel-double-packets";

import { mutated } from "./mutated";

const numbers = fc.oneof(fc.nat(), fc.double(), fc.maxSafeNat(), fc.constantFrom(2, 1024, -1, 2 ** 40));
const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string({ minLength: 100, maxLength: 1000 }));
interface Values {
  number: number;
  text: string;
  flag: boolean;
  none: boolean;
}
const values: fc.Arbitrary<Values> = fc.record({
  number: numbers,
  text: texts,
  flag: fc.boolean(),
  none: fc.boolean(),
});

function answerTo({ body: { name } }: LogRequest, { number, text, flag, none }: Values): Answer {
  switch (name) {
    case "CTR":
      return { name, device: none ? undefined : text };
    case "GET_REGION_SIZE":
      return { name, size: number };
    case "IS_CLEAN":
    case "IN_SYNC":
      return { name, yes: flag };
    case "GET_RESYNC_WORK":
      return { name, region: none ? undefined : number };
    case "GET_SYNC_COUNT":
      return { name, count: number };
    case "STATUS_INFO":
    case "STATUS_TABLE":
      return { name, text };
    case "IS_REMOTE_RECOVERING":
      return { name, recovering: flag, firstUnsynced: number };
    default:
      return { name };
  }
}

/** undefined: refused with a reason. */
function decode(packet: Buffer): LogRequest | undefined {
  try {
    return decodeRequest(packet);
  } catch (error) {
    assert.ok(error instanceof MalformedPacket, String(error));
    return undefined;
  }
}

function encode(encoder: () => Buffer): Buffer | undefined {
  try {
    return encoder();
  } catch (error) {
    assert.match((error as { code: string }).code, /^ERR_INVALID_ARG_(TYPE|VALUE)$/);
    return undefined;
  }
}

describe("the cluster log's packets, changed at random", () => {
  it("are refused with a reason, or answered so that the kernel understands it", () => {
    let taken = 0;
    fc.assert(
      fc.property(mutated, values, fc.integer({ min: -4200, max: 4200 }), (packet, value, errno) => {
        const request = decode(packet);
        if (!request) return;
        const answers = [
          encode(() => encodeAnswer(request, answerTo(request, value))),
          encode(() => encodeError(request, errno)),
          encode(() => encodeAck(request, errno)),
        ];
        for (const datagram of answers) {
          if (!datagram) continue;
          taken++;
          const reply = unpackReply(datagram, () => request.flavour);
          assert.equal(reply?.seq, request.seq);
          const read = decodeAnswer(datagram, request);
          assert.equal(read.error, reply.error);
          // that an error is one of IN_SYNC or makes it ask again is for the server to see to
          if (read.error === 0) assert.equal(misunderstanding(request, reply), undefined);
          assert.equal(reply.dataSize, reply.data.length);
        }
      }),
      runs(3000),
    );
    assert.ok(taken > 500, `${taken} answers`);
  });
});
