// The lockspaces of this node: what the kernel says of them (sysfs, configfs) and what dlm_controld does.

import { access, readFile, readdir } from "node:fs/promises";

import { CONTROLD_TIMEOUT_MS, askList, controldProblem } from "./controld/ask";
import {
  COMMAND,
  type Change,
  LOCKSPACE_SIZE,
  type LockspaceFlags,
  type LockspaceNode,
  type LockspaceRecord,
  NODES,
  NODE_SIZE,
  type PendingChange,
  decodeLockspace,
  decodeNode,
} from "./controld/layout";
import { clusterDirectory, localNode } from "./node-id";
import { type ControldOptions, checkTimeout } from "./options";
import { type Problem, errorCode, fileProblem } from "./problems";
import { readNumber } from "./reading";
import { ROOTS } from "./roots";

/**
 * How far a recovery has come: the bits of sysfs's recover_status, DLM_RECOVER_STATUS. "All": the node with the lowest
 * id has heard so from every member; other nodes never set those. Source: fs/dlm/recover.c, `wait_status()`.
 */
export interface RecoverStatus {
  nodes: boolean;
  nodesAll: boolean;
  directory: boolean;
  directoryAll: boolean;
  locks: boolean;
  locksAll: boolean;
  done: boolean;
  doneAll: boolean;
  raw: number;
}

export interface LockspaceMember {
  node: number;
  /** The share of the directory that it keeps; undefined when configfs does not tell. */
  weight: number | undefined;
}

export interface LockspaceInfo {
  name: string;
  /** The same on all nodes: a checksum of the name. */
  globalId: number | undefined;
  /** Locks are mastered by a static hash instead of a directory. */
  nodir: boolean | undefined;
  /** The kernel's members, by id. */
  members: LockspaceMember[] | undefined;
  /**
   * "running": requests are served. "recovering": the members settle who masters what, requests wait. "stopped":
   * dlm_controld keeps it so, for `nextChange.waitsFor`. On all nodes but the one with the lowest id "running" can be
   * seen a moment early. Undefined: the kernel has it no more, or not yet.
   */
  state: "running" | "recovering" | "stopped" | undefined;
  recoverStatus: RecoverStatus | undefined;
  /** The node that this one heard from last in a recovery. */
  recoverNode: number | undefined;
  /** The device through which user space locks; null for a lockspace of a file system, which has none. */
  device: { major: number; minor: number; name: string } | null | undefined;
  /** What dlm_controld says; undefined when it could not be asked, or does not know the lockspace. */
  controld: LockspaceControl | undefined;
}

/** dlm_controld's view of a lockspace. */
export interface LockspaceControl {
  flags: LockspaceFlags;
  /** The last change of membership that ended; `seq` 0 for none. */
  change: Change;
  /** Members by that change, by id. */
  members: number[];
  /** The change under way. */
  nextChange: PendingChange | undefined;
  nextMembers: number[] | undefined;
  /** Every node it has seen in the lockspace, by id. */
  nodes: LockspaceNode[];
}

export interface LockspaceList {
  /** This node. */
  node: number | undefined;
  /** By name; undefined when neither the kernel nor dlm_controld could be asked. */
  lockspaces: LockspaceInfo[] | undefined;
  problems: Problem[];
}

const DONE = 0x40;

/**
 * The lockspaces that this node is in, those of file systems included. Needs no privilege.
 *
 * @throws {TypeError | RangeError} a wrong option
 */
export async function listLockspaces(options?: ControldOptions): Promise<LockspaceList> {
  const timeoutMs = checkTimeout(options, CONTROLD_TIMEOUT_MS);
  const problems: Problem[] = [];
  const [node, kernel, daemon] = await Promise.all([
    localNode(problems),
    kernelLockspaces(problems),
    daemonLockspaces(timeoutMs, problems),
  ]);
  const names = new Set([...(kernel ?? []), ...(daemon?.keys() ?? [])]);
  const lockspaces = await Promise.all([...names].sort().map((name) => describe(name, daemon?.get(name), problems)));
  return { node, lockspaces: kernel || daemon ? lockspaces : undefined, problems: distinct(problems) };
}

// Every lockspace meets the same missing file system.
function distinct(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

const inSysfs = (name: string): string => name.replaceAll("/", "!");

async function kernelLockspaces(problems: Problem[]): Promise<string[] | undefined> {
  const directory = `${ROOTS.sysfs}/kernel/dlm`;
  try {
    return (await readdir(directory)).map((name) => name.replaceAll("!", "/"));
  } catch (error) {
    problems.push(fileProblem(directory, error));
    return undefined;
  }
}

// One question after the other: dlm_controld takes them so, and lets few wait.
async function daemonLockspaces(
  timeoutMs: number,
  problems: Problem[],
): Promise<Map<string, LockspaceRecord & LockspaceControl> | undefined> {
  try {
    const list = (await askList({ command: COMMAND.lockspaces }, LOCKSPACE_SIZE, timeoutMs)) ?? [];
    const found = new Map<string, LockspaceRecord & LockspaceControl>();
    for (const record of list.map(decodeLockspace)) {
      const nodes = async (option: number): Promise<LockspaceNode[]> => {
        const query = { command: COMMAND.lockspaceNodes, name: record.name, option };
        const items = (await askList(query, NODE_SIZE, timeoutMs)) ?? [];
        return items.map(decodeNode).sort((a, b) => a.node - b.node);
      };
      const all = await nodes(NODES.all);
      const members = (await nodes(NODES.members)).map(({ node }) => node);
      const nextMembers = record.nextChange && (await nodes(NODES.next)).map(({ node }) => node);
      found.set(record.name, { ...record, nodes: all, members, nextMembers });
    }
    return found;
  } catch (error) {
    problems.push(controldProblem(error));
    return undefined;
  }
}

async function describe(
  name: string,
  record: (LockspaceRecord & LockspaceControl) | undefined,
  problems: Problem[],
): Promise<LockspaceInfo> {
  const directory = `${ROOTS.sysfs}/kernel/dlm/${inSysfs(name)}`;
  const raw = await readNumber(`${directory}/recover_status`, problems, 16);
  const nodir = await readNumber(`${directory}/nodir`, problems);
  const control = record && {
    flags: record.flags,
    change: record.change,
    members: record.members,
    nextChange: record.nextChange,
    nextMembers: record.nextMembers,
    nodes: record.nodes,
  };
  return {
    name,
    globalId: (await readNumber(`${directory}/id`, problems)) ?? record?.globalId,
    nodir: nodir === undefined ? undefined : nodir !== 0,
    members: await members(name, problems),
    state: raw === undefined ? undefined : state(raw, control),
    recoverStatus: raw === undefined ? undefined : decodeRecoverStatus(raw),
    recoverNode: await readNumber(`${directory}/recover_nodeid`, problems),
    device: await device(name, problems),
    controld: control,
  };
}

function state(raw: number, control: LockspaceControl | undefined): LockspaceInfo["state"] {
  if (control?.flags.kernelStopped) return "stopped";
  if ((raw & DONE) !== 0) return "running";
  // stopping clears all bits; without dlm_controld's word a recovery that just begins looks the same
  return raw === 0 && !control ? "stopped" : "recovering";
}

export function decodeRecoverStatus(raw: number): RecoverStatus {
  const bit = (mask: number): boolean => (raw & mask) !== 0;
  return {
    nodes: bit(0x01),
    nodesAll: bit(0x02),
    directory: bit(0x04),
    directoryAll: bit(0x08),
    locks: bit(0x10),
    locksAll: bit(0x20),
    done: bit(DONE),
    doneAll: bit(0x80),
    raw,
  };
}

async function members(name: string, problems: Problem[]): Promise<LockspaceMember[] | undefined> {
  const directory = `${clusterDirectory()}/spaces/${name}/nodes`;
  let entries: string[];
  try {
    entries = await readdir(directory);
  } catch (error) {
    problems.push(fileProblem(directory, error));
    return undefined;
  }
  const read = async (entry: string, file: string): Promise<number | undefined> => {
    const number = Number.parseInt(await readFile(`${directory}/${entry}/${file}`, "utf8").catch(() => ""), 10);
    return Number.isNaN(number) ? undefined : number;
  };
  const found = await Promise.all(
    entries.map(async (entry) => ({ node: await read(entry, "nodeid"), weight: await read(entry, "weight") })),
  );
  return found.filter((member): member is LockspaceMember => member.node !== undefined).sort((a, b) => a.node - b.node);
}

async function device(name: string, problems: Problem[]): Promise<LockspaceInfo["device"]> {
  const directory = `${ROOTS.sysfs}/class/misc`;
  const path = `${directory}/dlm_${inSysfs(name)}/dev`;
  try {
    const [major, minor] = (await readFile(path, "utf8")).trim().split(":").map(Number);
    return major === undefined || minor === undefined ? undefined : { major, minor, name: `dlm_${name}` };
  } catch (error) {
    const there = await access(directory).then(
      () => true,
      () => false,
    );
    if (errorCode(error) === "ENOENT" && there) return null;
    problems.push(fileProblem(path, error));
    return undefined;
  }
}
