// The environment programs start in on a node: a root login's, and of the caller's own only what cannot surprise.

const SYSTEM_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const PASSED = /^(?:CLUSTERLOCK_|LC_)|^(?:LANG|TERM|TZ)$/;

export interface NodeFacts {
  readonly node: number;
  readonly nodes: number;
  readonly stack: string;
  readonly out: string;
  /** Where programs of the node find the lab, if they can. */
  readonly lab?: string;
}

export function nodeEnv(facts: NodeFacts, caller: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(caller)) {
    if (value !== undefined && PASSED.test(name)) env[name] = value;
  }
  return {
    ...env,
    PATH: searchPath(caller.PATH),
    HOME: "/root",
    USER: "root",
    LOGNAME: "root",
    SHELL: "/bin/sh",
    CLUSTERLOCK_NODE: String(facts.node),
    CLUSTERLOCK_NODES: String(facts.nodes),
    CLUSTERLOCK_STACK: facts.stack,
    CLUSTERLOCK_OUT: facts.out,
    ...(facts.lab === undefined ? {} : { CLUSTERLOCK_LAB: facts.lab }),
  };
}

// an ordinary user's PATH has no sbin, where the cluster's tools are
function searchPath(callers: string | undefined): string {
  const own = (callers ?? "").split(":").filter((directory) => directory !== "");
  return [...own, ...SYSTEM_PATH.filter((directory) => !own.includes(directory))].join(":");
}
