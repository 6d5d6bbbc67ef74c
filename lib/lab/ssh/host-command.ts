// The inventory's commands, which switch a machine from outside: ipmitool, virsh, a smart plug's.

import { LabError } from "../errors";
import { command, CommandError } from "../image/command";
import { within } from "../waiting";
import type { Host, HostCommand } from "./inventory";

export async function hostCommand(
  node: number,
  host: Host,
  what: HostCommand,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const argv = needed(node, host, what);
  const stop = new AbortController();
  try {
    const either = AbortSignal.any([signal, stop.signal]);
    const run = command(argv, { signal: either });
    run.catch(() => undefined);
    await within(seconds, `n${node}'s ${what}`, signal, run);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new LabError(`n${node}: ${what} failed: ${error.message}`);
  } finally {
    stop.abort();
  }
}

export function needed(node: number, host: Host, what: HostCommand): readonly string[] {
  const argv = host[what];
  if (argv === undefined) throw new LabError(`n${node}: the inventory has no key hosts[${node - 1}].${what}`);
  return argv;
}
