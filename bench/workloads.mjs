// What is compared, and what has to hold; bench/peers/turns.h says what each workload is.

const DEPTH = 64;

export const LOCAL = [
  { name: "lock + unlock, one at a time", workload: "pair", depth: 1 },
  { name: `lock + unlock, ${DEPTH} in flight`, workload: "pair", depth: DEPTH },
  { name: "NL -> EX -> NL, one at a time", workload: "convert", depth: 1 },
];

/** The other node is master of all resources, and holds each in NL. */
export const REMOTE = [
  { name: "remote lock + unlock, one at a time", workload: "pair", depth: 1 },
  { name: `remote lock + unlock, ${DEPTH} in flight`, workload: "pair", depth: DEPTH },
];

/** ocfs2_dlmfs, two nodes. */
export const DLMFS = {
  cached: { name: "dlmfs: lock + unlock of what the node has cached", workload: "pair", depth: 1 },
  pass: { name: "dlmfs: EX to the other node and back", workload: "pass", depth: 1 },
  demand: { name: "dlmfs: from a C program's demand to its grant", workload: "demand", depth: 1 },
};
export const DLMFS_PARTIES = ["ours", "libo2dlm", "bare"];

/** Mirrors, one node. */
export const CLOG = [
  { name: "mirror: read of a block", workload: "read", depth: 1 },
  { name: "mirror: write to a clean region", workload: "pair", depth: 1 },
];

/** Blocking calls are for one at a time. */
export function partiesOf({ depth }) {
  return depth === 1 ? ["ours", "libdlm wait", "libdlm async", "bare"] : ["ours", "libdlm async", "bare"];
}

/** The workload whose system calls are counted. */
export const COUNTED = LOCAL[1];

/** `peer`: ours is at least `limit` times as fast; without a peer: at most `limit` system calls for a lock and its unlock. */
export const GATES = [
  { workload: LOCAL[0].name, peer: "libdlm wait", limit: 1.0 },
  { workload: LOCAL[1].name, peer: "libdlm async", limit: 1.0 },
  { workload: LOCAL[1].name, peer: "bare", limit: 0.7 },
  { workload: COUNTED.name, limit: 2.2 },
];
