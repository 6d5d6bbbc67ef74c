// An explanation in words.

import type { OpenFile } from "../dump";

import type { WaitBlocker } from "./blockers";
import type { WaitExplanation } from "./explanation";

/** So many of a list are named. */
const NAMED = 5;

type Told = Omit<WaitExplanation, "sentence" | "problems">;

export function sentenceOf(told: Told): string {
  const seconds = (told.waitedMs / 1000).toFixed(1);
  return `waits for ${told.mode} on '${told.lock}' of domain '${told.domain}' for ${seconds} s: ${reason(told)}`;
}

function reason(told: Told): string {
  const { master, openFiles } = told;
  switch (told.cause) {
    case "queued":
      return "other requests of this process come first";
    case "local":
      return openFiles && openFiles.length > 0
        ? `${listed(openFiles.map(fileWords))} of this node ${openFiles.length > 1 ? "have" : "has"} it`
        : "another process of this node has it, or asks for it";
    case "locks":
      return `${listed(told.blockers.map((blocker) => blockerWords(blocker, told.node)))}${told.complete ? "" : "; there may be more"}`;
    case "master":
      return `node ${master} grants it, and only a dump of that node tells who holds it`;
    case "answer":
      return master === undefined
        ? "the nodes of the domain are being asked who grants it"
        : `node ${master}, which grants it, has not answered`;
    case "recovery":
      return recoveryWords(told);
    case "own-files":
      return `another node has asked for this node's lock, and nobody here gets it again before ${openFiles && openFiles.length > 0 ? `${listed(openFiles.map(fileWords))} ${openFiles.length > 1 ? "have" : "has"} closed it` : "those of this node who have it open have closed it"}`;
    case "directory":
      return "an unlink, a mkdir or an rmdir on the mount keeps the directory locked until it has ended";
    case "unlisted":
      return "the kernel lists no such request, so it was either granted this moment or, if it goes on waiting, lost by the kernel";
    case "lost":
      return "this node's heartbeat has ended, so it has left the cluster, and nobody will grant anything; only a restart of the node mends that";
    case "unknown":
      return told.task?.wchan === undefined
        ? "what it waits for could not be read"
        : `it sleeps in ${told.task.wchan}, and what that waits for could not be read`;
  }
}

function listed(words: readonly string[]): string {
  const more = words.length - NAMED;
  return [...words.slice(0, NAMED), ...(more > 0 ? [`${more} more`] : [])].join("; ");
}

const fileWords = ({ pid, command, mode }: OpenFile): string => `process ${pid} (${command}, ${mode})`;

function blockerWords(blocker: WaitBlocker, own: number | undefined): string {
  const who = blocker.node === undefined ? "a node" : blocker.node === own ? "this node" : `node ${blocker.node}`;
  if (blocker.reason === "ahead") return `${who} asked for ${blocker.requested} before`;
  switch (blocker.use) {
    case "held":
      return `${who} holds ${blocker.mode}: ${listed(blocker.openFiles.map(fileWords))}`;
    case "cached":
      return `${who} caches ${blocker.mode}, and gives it up when asked`;
    default:
      return `${who} holds or caches ${blocker.mode}`;
  }
}

const WAITS_FOR = {
  fencing: "a node to be fenced",
  quorum: "quorum",
  ringid: "corosync to settle who is a member",
  fsdone: "file systems to end their recovery",
  messages: "the word of other members",
  unknown: "something it does not name",
} as const;

function recoveryWords({ stack, recovery }: Told): string {
  if (stack === "o2cb") {
    const dead = recovery?.deadNode === undefined ? "a dead node" : `node ${recovery.deadNode}, which is dead,`;
    const led = recovery?.master === undefined ? "" : `, led by node ${recovery.master}`;
    return `the locks of ${dead} are being taken over${led}`;
  }
  const waits = recovery?.waitsFor;
  return `the lockspace stands still${waits === undefined ? " while its members agree on it" : ` because dlm_controld waits for ${WAITS_FOR[waits]}`}`;
}
