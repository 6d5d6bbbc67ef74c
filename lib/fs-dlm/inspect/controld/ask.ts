// Questions to dlm_controld. It serves one client after the other and answers nobody while it writes to a stuck sysfs:
// every question has a time-out.

import net from "node:net";

import { native } from "../../../native";
import { CONTROLD, type Problem, errorCode } from "../problems";
import { ROOTS } from "../roots";

import { HEADER_SIZE, type Query, decodeList, encodeQuery } from "./layout";

/** How long dlm_controld may take over one answer, in milliseconds, unless the caller says otherwise. */
export const CONTROLD_TIMEOUT_MS = 5000;

const E2BIG = -7;
const ENOENT = -2;
const EAGAIN = -11;
const RETRY_MS = 20;
// What would be no list any more but a mistake.
const MOST_ITEMS = 65_536;

const timedOut = (): Error => Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" });

// The queue of those who want to connect is short, and a connect() that would wait says so instead.
async function connect(until: number): Promise<net.Socket> {
  for (;;) {
    const result = native().connectAbstract(ROOTS.querySocket);
    if (result >= 0) return new net.Socket({ fd: result, readable: true, writable: true });
    if (result !== EAGAIN) throw Object.assign(new Error("cannot connect"), { code: errnoName(result) });
    if (Date.now() >= until) throw timedOut();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function errnoName(errno: number): string {
  return errno === -111 ? "ECONNREFUSED" : errno === -1 ? "EPERM" : errno === -13 ? "EACCES" : `E${-errno}`;
}

/** The whole answer, up to where dlm_controld hangs up. */
export async function ask(query: Query, timeoutMs: number): Promise<Buffer> {
  const until = Date.now() + timeoutMs;
  const socket = await connect(until);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(timedOut()), Math.max(0, until - Date.now()));
    socket.on("data", (part) => parts.push(part));
    socket.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(parts));
    });
    socket.write(encodeQuery(query));
  });
}

/** Asks for a list; undefined when what it is about does not exist. */
export async function askList(query: Query, size: number, timeoutMs: number): Promise<Buffer[] | undefined> {
  for (let data = 64; ; data *= 8) {
    const reply = await ask({ ...query, data }, timeoutMs);
    const tooMany = reply.length >= HEADER_SIZE && reply.readInt32LE(20) === E2BIG;
    if (tooMany && data < MOST_ITEMS) continue;
    const { result, items } = decodeList(reply, size);
    if (result === ENOENT) return undefined;
    if (result < 0) throw Object.assign(new Error("refused"), { code: `E${-result}` });
    return items;
  }
}

/** Why dlm_controld could not be asked. */
export function controldProblem(error: unknown): Problem {
  const code = errorCode(error);
  return { path: CONTROLD, code, hint: hint(code, error) };
}

function hint(code: string, error: unknown): string {
  switch (code) {
    case "ECONNREFUSED":
      return "dlm_controld does not run on this node";
    case "ETIMEDOUT":
      return "dlm_controld does not answer: it may be waiting for the kernel";
    case "ERR_CONTROLD_PROTOCOL":
      return `this dlm_controld answers other than version 4 does: ${(error as Error).message}`;
    default:
      return `asking dlm_controld failed: ${(error as Error).message}`;
  }
}
