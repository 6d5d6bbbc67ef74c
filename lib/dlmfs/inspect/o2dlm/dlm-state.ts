// debugfs o2dlm/DOMAIN/dlm_state. Source: fs/ocfs2/dlm/dlmdebug.c, `debug_state_print()`.

/** What o2dlm says of a domain, on one node. */
export interface O2dlmState {
  /** This node. */
  node: number;
  state: "new" | "joined" | "shutdown" | "leaving" | "unknown";
  /** The version that the members' o2dlm speak with each other. */
  protocol: string;
  /** Mounts of this node that have joined it: each dlmfs mount, and an ocfs2 volume of that name. */
  joins: number;
  /** A node that joins at this moment. */
  joiningNode: number | undefined;
  /** Nodes in the domain, this one included. */
  members: number[];
  /** Of these, the ones about to leave. */
  leaving: number[];
  /** Nodes that this one believes alive. Without itself, it has left the cluster, and its locks are nobody's. */
  alive: number[];
  /** Resources that it knows. */
  resources: number;
  recovery: O2dlmRecovery;
}

export interface O2dlmRecovery {
  active: boolean;
  /** Whose locks are being taken over. */
  deadNode: number | undefined;
  /** Who leads it. */
  master: number | undefined;
  /** Nodes whose locks have yet to be taken over. */
  pending: number[];
  /** How far each member has come; known to the node that leads. */
  nodes: { node: number; state: string }[];
}

/** O2NM_MAX_NODES: no node. */
const NOBODY = 255;
const STATES = new Map<string, O2dlmState["state"]>([
  ["NEW", "new"],
  ["JOINED", "joined"],
  ["SHUTDOWN", "shutdown"],
  ["LEAVING", "leaving"],
]);

/** Undefined: this is none of the format's. */
export function parseDlmState(text: string): O2dlmState | undefined {
  const find = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const number = (pattern: RegExp): number => Number(find(pattern) ?? NaN);
  const node = (pattern: RegExp): number | undefined => {
    const found = number(pattern);
    return found === NOBODY || Number.isNaN(found) ? undefined : found;
  };
  const map = (name: string): number[] | undefined =>
    find(new RegExp(`^${name}: ((?:\\d+ )*)$`, "m"))
      ?.split(" ")
      .filter(Boolean)
      .map(Number);
  const self = number(/^Thread Pid: .* {2}Node: (\d+) {2}State: /m);
  const members = map("Domain Map");
  const alive = map("Live Map");
  if (Number.isNaN(self) || !members || !alive) return undefined;
  const [, list = ""] = text.split(/^Recovery Node State:\n/m);
  return {
    node: self,
    state: STATES.get(find(/^Thread Pid: .* {2}State: (\w+)$/m) ?? "") ?? "unknown",
    // the domain's name is before it, and may be anything
    protocol: find(/ {2}Protocol: (\d+\.\d+)\n(?=Thread Pid: )/) ?? "",
    joins: number(/^Number of Joins: (\d+) /m),
    joiningNode: node(/ {2}Joining Node: (\d+)$/m),
    members,
    leaving: map("Exit Domain Map") ?? [],
    alive,
    resources: number(/^Lock Resources: (\d+) /m),
    recovery: {
      active: find(/^Recovery Pid: .* {2}State: (\w+)$/m) === "ACTIVE",
      deadNode: node(/^Dead Node: (\d+)$/m),
      master: node(/^Recovery Pid: .* {2}Master: (\d+) /m),
      pending: map("Recovery Map") ?? [],
      nodes: Array.from(list.matchAll(/^\t(\d+) - ([\w-]+)$/gm), ([, at, state = ""]) => ({ node: Number(at), state })),
    },
  };
}
