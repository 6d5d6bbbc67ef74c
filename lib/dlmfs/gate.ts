import { createHash } from "node:crypto";

import { DOMAIN_LOCK_NAME_MAX } from "./names";

const SHORT = ".gate-";
const LONG = ".gate~";

/**
 * The lock that is taken in EX while EX is asked for on another one. The kernel cannot cope with two nodes that go from PR
 * to EX on one lock at a time: each waits for the other for ever (docs/kernel-notes.md, B3). With the gate only one does.
 * The name is part of what nodes have to agree on.
 */
export function gateName(name: string): string {
  const plain = SHORT + name;
  if (Buffer.byteLength(plain) <= DOMAIN_LOCK_NAME_MAX) return plain;
  const room = DOMAIN_LOCK_NAME_MAX - LONG.length;
  return LONG + createHash("sha256").update(name).digest("base64url").slice(0, room);
}
