import path from "node:path";

import { checkFlag, checkObject } from "../../checks";
import { invalidType, invalidValue } from "../../errors";
import { RUN_DIRECTORY } from "../paths";

import type { Finding, Unread } from "./findings";
import { type FsDlmStatus, readFsDlm } from "./fs-dlm";
import { type HungTaskSettings, readHungTask } from "./hung-task";
import { KernelModules, type ModuleState } from "./modules";
import { type DlmfsMount, dlmfsMounts, isDlmfs, isMounted, readMountinfo } from "./mounts";
import { type O2cbStatus, readConfiguredCluster, readO2cb } from "./o2cb";
import { Reader } from "./reading";
import { ROOTS } from "./roots";
import { type Capabilities, type StackStatus, readCapabilities, readStack } from "./stack";
import { USUAL_MOUNT, judge } from "./verdict";

/** Options of {@link probe}, which mean what they mean to `Domain.open()`. */
export interface ProbeOptions {
  /** The mount that is meant. Default "/dlm"; if there is none, the first that there is. */
  mount?: string | undefined;
  /** Whether the cluster's name is no obstacle. Default false. */
  allowClusterNameWorkaround?: boolean | undefined;
  /** Default "/run/lock/clusterlock". */
  runDirectory?: string | undefined;
}

/** What a node has of ocfs2_dlmfs and what is below it, as plain data. */
export interface DlmfsProbe {
  /** `Domain.open()` with the same options has all that it needs on this node: there are no `problems`. */
  usable: boolean;
  /** What keeps domains from being joined, in an order in which it can be mended. */
  problems: Finding[];
  /** What had better be otherwise. */
  warnings: Finding[];
  /** The mount that is meant. */
  mount: string;
  mounts: DlmfsMount[];
  /** The running kernel's release. */
  kernel: string;
  /** The kernel module ocfs2_dlmfs. */
  module: ModuleState;
  /** Undefined: the module is not loaded, or older than 2010. */
  capabilities: Capabilities | undefined;
  /** Undefined: the modules of OCFS2 are not loaded. */
  stack: StackStatus | undefined;
  /** Undefined: this node is in no o2cb cluster. */
  o2cb: O2cbStatus | undefined;
  /** Undefined: fs/dlm is not loaded. */
  fsdlm: FsDlmStatus | undefined;
  /** Undefined: this kernel does not look for hung tasks. */
  hungTask: HungTaskSettings | undefined;
  /** What is there and could not be read: parts of the answer are undefined for it. */
  unread: Unread[];
}

/**
 * Looks at what ocfs2_dlmfs needs on this node, and says what is missing and what mends it.
 *
 * It changes nothing and waits for nothing: it reads attributes in procfs, sysfs, configfs and debugfs, and asks mounts
 * for their type only. (What is in a mount of ocfs2_dlmfs can be waited for without end.) Of other nodes it knows what
 * this one has noticed. Root sees all; others miss what debugfs has, such as connections.
 *
 * @throws {TypeError | RangeError} a wrong option
 */
export async function probe(options?: ProbeOptions): Promise<DlmfsProbe> {
  const given = checkObject(options);
  const wanted = checkPath(given["mount"], "options.mount");
  const runDirectory = checkPath(given["runDirectory"], "options.runDirectory") ?? RUN_DIRECTORY;
  const allowClusterNameWorkaround = checkFlag(given, "allowClusterNameWorkaround");

  const reader = new Reader();
  const modules = new KernelModules(reader);
  const mountinfo = await readMountinfo();
  const [module, mounts, capabilities, stack, o2cb, configuredCluster, fsdlm, hungTask] = await Promise.all([
    modules.state("ocfs2_dlmfs"),
    dlmfsMounts(mountinfo),
    readCapabilities(reader),
    readStack(reader, modules),
    readO2cb(reader),
    readConfiguredCluster(reader),
    readFsDlm(reader, runDirectory),
    readHungTask(reader),
  ]);
  const mount = wanted ?? chooseMount(mounts);
  const facts = { mount, mounts, kernel: ROOTS.release, module, capabilities, stack, o2cb, fsdlm, hungTask };
  const { problems, warnings } = judge({
    ...facts,
    ...(await lookAt(mount, mounts)),
    configfs: isMounted(mountinfo, "configfs", ROOTS.configfs),
    debugfs: isMounted(mountinfo, "debugfs", ROOTS.debugfs),
    configuredCluster,
    allowClusterNameWorkaround,
    namedMount: wanted !== undefined,
  });
  return { usable: problems.length === 0, problems, warnings, ...facts, unread: reader.unread };
}

function chooseMount(mounts: readonly DlmfsMount[]): string {
  const [first = { path: USUAL_MOUNT }, ...more] = mounts.filter(({ visible }) => visible !== false);
  return more.some(({ path }) => path === USUAL_MOUNT) ? USUAL_MOUNT : first.path;
}

// A directory in a mount is never asked: that would look into the file system, and could wait for it.
async function lookAt(
  mount: string,
  mounts: readonly DlmfsMount[],
): Promise<{ mounted: boolean; around: string | undefined }> {
  const known = mounts.some(({ path }) => path === mount);
  const around = known
    ? undefined
    : mounts.find(({ path }) => mount.startsWith(path === "/" ? path : `${path}/`))?.path;
  return { mounted: around === undefined && ((await isDlmfs(mount)) ?? known), around };
}

/** @throws TypeError, RangeError */
function checkPath(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalidType(name, "a string", value);
  if (!path.isAbsolute(value) || value.includes("\0")) {
    throw invalidValue(name, `is '${value}'; an absolute path is expected`);
  }
  const normal = path.normalize(value);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}
