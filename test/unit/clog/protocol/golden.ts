import { readFileSync } from "node:fs";
import path from "node:path";

import type { Answer, LogRequest, RequestBody } from "../../../../lib/clog/protocol/requests";

/** The datagrams of test/golden/clog/generate.c. */
export const GOLDEN_FILE: string = path.resolve(__dirname, "../../../golden/clog/packets.json");

/** How a request can be answered, and the datagram that does. */
export type GoldenAnswer = { packet: Buffer } & ({ answer: Answer } | { error: number } | { ack: number });

export interface GoldenRequest {
  name: string;
  packet: Buffer;
  decoded: LogRequest;
  answers: GoldenAnswer[];
}

export interface Golden {
  requests: GoldenRequest[];
  malformed: { reason: string; packet: Buffer }[];
}

const BIG = new Set(["luid", "region"]);

/** JSON has neither bytes nor numbers of 64 bits, and null for what is not there. */
export function readGolden(): Golden {
  return JSON.parse(readFileSync(GOLDEN_FILE, "utf8"), (key, value: unknown) => {
    if (key === "packet") return Buffer.from(value as string, "hex");
    if (key === "regions") return (value as string[]).map(BigInt);
    return BIG.has(key) && typeof value === "string" ? BigInt(value) : value;
  }) as Golden;
}

/** The request's other form: what assert.deepEqual() shall compare. */
export function answerOf(answer: Answer): Answer {
  return Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, value ?? undefined])) as Answer;
}

/** The words of a CTR, and a CTR's body only. */
export function isReconnect(body: RequestBody): boolean {
  return body.name === "CTR" && body.reconnect;
}
