// What `vagrant ssh-config`, `vagrant status` and ip(8) print, read without running them.

/** The names of the machines, in the Vagrantfile's order. */
export function machineNames(sshConfig: string): string[] {
  return [...sshConfig.matchAll(/^Host (\S+)$/gm)].map((match) => match[1] ?? "");
}

/** State by machine, from `vagrant status --machine-readable`. */
export function machineStates(status: string): Map<string, string> {
  const states = new Map<string, string>();
  for (const line of status.split("\n")) {
    const [, name, what, state] = line.trim().split(",");
    if (name !== undefined && what === "state" && state !== undefined) states.set(name, state);
  }
  return states;
}

export interface InterfaceAddress {
  readonly interface: string;
  readonly address: string;
}

/** The address that begins with these numbers, from `ip -o -4 address show`. */
export function addressIn(network: string, shown: string): InterfaceAddress | undefined {
  for (const [, name, address] of shown.matchAll(/^\d+: (\S+)\s+inet ([\d.]+)\//gm)) {
    if (name !== undefined && address?.startsWith(`${network}.`) === true) return { interface: name, address };
  }
  return undefined;
}
