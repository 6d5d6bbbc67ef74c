// What the facts mean, and what mends what is missing.

import type { Finding, FindingCode } from "./findings";
import type { FsDlmStatus } from "./fs-dlm";
import type { HungTaskSettings } from "./hung-task";
import type { ModuleState } from "./modules";
import type { DlmfsMount } from "./mounts";
import type { O2cbNode, O2cbStatus } from "./o2cb";
import { ROOTS } from "./roots";
import type { Capabilities, StackStatus } from "./stack";

export const USUAL_MOUNT = "/dlm";

/** What a verdict goes by. */
export interface Facts {
  mount: string;
  mounts: readonly DlmfsMount[];
  kernel: string;
  module: ModuleState;
  capabilities: Capabilities | undefined;
  stack: StackStatus | undefined;
  o2cb: O2cbStatus | undefined;
  fsdlm: FsDlmStatus | undefined;
  hungTask: HungTaskSettings | undefined;
  /** ocfs2_dlmfs is what is seen at `mount`. */
  mounted: boolean;
  /** The mount that `mount` is a directory in. */
  around: string | undefined;
  /** These are mounted where they are looked for. */
  configfs: boolean;
  debugfs: boolean;
  configuredCluster: string | undefined;
  allowClusterNameWorkaround: boolean;
  /** The caller said which mount is meant. */
  namedMount: boolean;
}

export interface Verdict {
  problems: Finding[];
  warnings: Finding[];
}

// fs/ocfs2 of the kernel's generic packages; cloud kernels are built without it.
const OTHER_KERNEL = "apt-get install linux-image-amd64";

export function judge(facts: Facts): Verdict {
  const verdict: Verdict = { problems: [], warnings: [] };
  verdict.problems.push(...moduleProblems(facts), ...mountProblems(facts));
  judgeCluster(facts, verdict);
  verdict.warnings.push(...warnings(facts));
  return verdict;
}

function finding(code: FindingCode, message: string, fix?: string): Finding {
  return { code, message, fix };
}

function moduleProblems({ module, kernel, mounts }: Facts): Finding[] {
  if (module === "loaded" || mounts.length > 0) return [];
  if (module === "missing") {
    const message = `kernel ${kernel} comes without ocfs2_dlmfs; cloud kernels do: boot a full one`;
    return [finding("module-missing", message, OTHER_KERNEL)];
  }
  return [finding("module-not-loaded", "the kernel module ocfs2_dlmfs is not loaded", "modprobe ocfs2_dlmfs")];
}

function mountProblems({ mount, mounts, mounted, around }: Facts): Finding[] {
  if (mounted) return [];
  const at = shellWord(mount);
  if (around !== undefined) {
    const message = `${mount} is in the mount ${around}, and no mount itself`;
    return [finding("inside-mount", message, `{ mount: ${JSON.stringify(around)} }`)];
  }
  if (mounts.some(({ path }) => path === mount)) {
    return [finding("mount-covered", `something else is mounted over the ocfs2_dlmfs at ${mount}`, `umount ${at}`)];
  }
  const fix = `mkdir -p ${at} && mount -t ocfs2_dlmfs ocfs2_dlmfs ${at}`;
  return [finding("not-mounted", `ocfs2_dlmfs is not mounted at ${mount}`, fix)];
}

/** Locks come from one cluster stack of two. Which one is a setting, and it may be set for the one that does not run. */
function judgeCluster(facts: Facts, { problems, warnings }: Verdict): void {
  const { stack, configfs } = facts;
  if (!configfs) {
    const fix = `mount -t configfs none ${ROOTS.configfs}`;
    problems.push(finding("configfs-not-mounted", "cluster stacks are set up in configfs, which is not mounted", fix));
    return;
  }
  // the kernel's own choice, before its stack glue is loaded
  const set = stack?.plugin ?? "o2cb";
  const runs = runningStack(set, facts);
  if (runs !== set) problems.push(wrongStack(stack, runs));
  else if (stack?.pluginModule === "missing") {
    const message = `kernel ${facts.kernel} comes without ocfs2_stack_${set}, which the stack '${stack.clusterStack}' needs`;
    problems.push(finding("plugin-missing", message, OTHER_KERNEL));
  }
  if (runs === "o2cb") {
    problems.push(...o2cbProblems(facts));
    if (!facts.debugfs) warnings.push(noDebugfs());
  } else {
    problems.push(...fsdlmProblems(facts));
    warnings.push(...fsdlmWarnings(facts));
  }
}

function runningStack(set: "o2cb" | "user", { o2cb, fsdlm }: Facts): "o2cb" | "user" {
  const fsdlmRuns = fsdlm?.controld === true && fsdlm.nodes.some(({ local }) => local);
  if (set === "o2cb") return !o2cb && fsdlmRuns ? "user" : "o2cb";
  return o2cb?.heartbeating && !fsdlmRuns ? "o2cb" : "user";
}

function wrongStack(stack: StackStatus | undefined, runs: "o2cb" | "user"): Finding {
  const [name, what] = runs === "o2cb" ? ["o2cb", "o2cb"] : ["pcmk", "fs/dlm"];
  const set = stack?.clusterStack ?? "o2cb";
  const message = `the cluster stack is set to '${set}', and it is ${what} that runs on this node`;
  const busy = stack?.activePlugin === undefined ? "" : "; it can be set once no domain and no OCFS2 volume is in use";
  return finding("wrong-stack", message + busy, `echo ${name} > ${ROOTS.sysfs}/fs/ocfs2/cluster_stack`);
}

function noDebugfs(): Finding {
  const message = "debugfs is not mounted: which nodes live and are connected cannot be seen";
  return finding("debugfs-not-mounted", message, `mount -t debugfs none ${ROOTS.debugfs}`);
}

// In the order of o2cb_cluster_check(), fs/ocfs2/stack_o2cb.c.
function o2cbProblems({ o2cb, configuredCluster }: Facts): Finding[] {
  if (!o2cb) {
    const add = "o2cb add-cluster NAME && o2cb add-node NAME $(hostname -s) --ip ADDRESS && o2cb register-cluster NAME";
    const fix = configuredCluster === undefined ? add : `o2cb register-cluster ${shellWord(configuredCluster)}`;
    return [finding("o2cb-no-cluster", "this node is in no o2cb cluster", fix)];
  }
  const cluster = shellWord(o2cb.cluster);
  const own = o2cb.nodes.find(({ local }) => local);
  if (!own) {
    const names = o2cb.nodes.map(({ name }) => name).join(", ");
    const message = `none of the nodes of cluster ${o2cb.cluster} (${names || "it has none"}) is marked as this one`;
    const fix = `echo 1 > ${ROOTS.configfs}/cluster/${cluster}/node/$(hostname -s)/local`;
    return [finding("o2cb-no-local-node", message, fix)];
  }
  if (!o2cb.heartbeating) {
    const fix = o2cb.mode === "global" ? `o2cb start-heartbeat ${cluster}` : "ocfs2_hb_ctl -S -d DEVICE o2cb";
    return [finding("o2cb-no-heartbeat", "the heartbeat of this node has not been started", fix)];
  }
  const cut = o2cb.nodes.filter(({ live, connected }) => live === true && connected === false);
  return cut.length === 0 ? [] : [notConnected(cut)];
}

function notConnected(nodes: readonly O2cbNode[]): Finding {
  const list = nodes
    .map(({ name, address, port }) => `${name} (${address ?? "?"}, TCP port ${port ?? "?"})`)
    .join(", ");
  const message =
    `there is a heartbeat of ${list}, and no connection: joining a domain tries for a minute and fails; ` +
    "are these the addresses, and is the port open?";
  return finding("o2cb-not-connected", message);
}

// Sources: fs/ocfs2/stack_user.c, user_cluster_connect(); fs/dlm/lockspace.c, new_lockspace().
function fsdlmProblems({ fsdlm, allowClusterNameWorkaround }: Facts): Finding[] {
  if (!fsdlm?.controld) {
    const message = "the locks are to come from fs/dlm, and its dlm_controld is not running";
    return [finding("fsdlm-no-controld", message, "systemctl start corosync dlm")];
  }
  if (!fsdlm.nodes.some(({ local }) => local)) {
    const message = "dlm_controld has not told the kernel of this node: it waits for corosync (corosync-quorumtool -s)";
    return [finding("fsdlm-no-local-node", message)];
  }
  if (fsdlm.recoverCallbacks === false) {
    const message =
      "dlm_controld is older than 4, or was told to leave recover_callbacks out: joining a domain fails with ESRCH, and " +
      "leaves a lockspace behind";
    const fix = `echo 1 > ${ROOTS.configfs}/dlm/cluster/recover_callbacks`;
    return [finding("fsdlm-recover-callbacks", message, fix)];
  }
  if (!fsdlm.nameMismatch || allowClusterNameWorkaround) return [];
  const message =
    `joining a domain fails with EBADR: ocfs2_dlmfs gives fs/dlm an empty cluster name, and dlm_controld has set ` +
    `'${fsdlm.clusterName ?? ""}'. The option blanks that for the moment of the join`;
  return [finding("fsdlm-cluster-name", message, "{ allowClusterNameWorkaround: true }")];
}

function fsdlmWarnings({ fsdlm, mounts }: Facts): Finding[] {
  const found: Finding[] = [];
  if (fsdlm?.nameLeftBlank !== undefined) {
    const message =
      `the cluster's name, ${fsdlm.nameLeftBlank}, was blanked to join a domain and never put back: GFS2 and OCFS2 ` +
      "volumes cannot be mounted. The next Domain.open() puts it back, too";
    const fix = `printf %s ${shellWord(fsdlm.nameLeftBlank)} > ${ROOTS.configfs}/dlm/cluster/cluster_name`;
    found.push(finding("fsdlm-name-left-blank", message, fix));
  }
  if (new Set(mounts.map(({ device }) => device)).size > 1) {
    const message = "on fs/dlm a node can join a domain through one of its mounts only; the others fail with EEXIST";
    found.push(finding("fsdlm-several-mounts", message));
  }
  return found;
}

function warnings({ mount, mounted, namedMount, capabilities, hungTask }: Facts): Finding[] {
  const found: Finding[] = [];
  if (mounted && !namedMount && mount !== USUAL_MOUNT) {
    const message = `ocfs2_dlmfs is mounted at ${mount}, not at ${USUAL_MOUNT}, where it is looked for by default`;
    found.push(finding("other-mount", message, `{ mount: ${JSON.stringify(mount)} }`));
  }
  if (capabilities && !capabilities.bast) {
    found.push(
      finding("no-bast", "this kernel's ocfs2_dlmfs cannot tell that another node wants a lock: no onBlocking"),
    );
  }
  if (capabilities && !capabilities.stackglue) {
    found.push(finding("no-stackglue", "this kernel's ocfs2_dlmfs takes its locks from o2cb only"));
  }
  if (hungTask?.panic && hungTask.timeoutSeconds > 0) {
    const message = `a wait for a lock of more than ${hungTask.timeoutSeconds} s panics this node: the kernel takes it for a hung task`;
    found.push(finding("hung-task-panic", message, "sysctl -w kernel.hung_task_panic=0"));
  }
  return found;
}

function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
