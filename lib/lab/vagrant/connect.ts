// The Vagrant driver: the ssh driver on the machines of a Vagrantfile, which libvirt switches.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import type { Cluster, Stack } from "../cluster";
import { LabError, LabOptionError, messageOf } from "../errors";
import { command, CommandError } from "../image/command";
import { stackName } from "../options";
import { tempRoot } from "../paths";
import { sshCommand } from "../ssh/command-line";
import type { SshOptions } from "../ssh/connect";
import { openSshCluster } from "../ssh/connect";
import type { SshHostSpec } from "../ssh/inventory";
import { addressIn, machineNames, machineStates } from "./ssh-config";

export interface VagrantOptions extends SshOptions {
  /** The Vagrantfile's stack. Default: $CLUSTERLOCK_STACK, else "dlm". */
  readonly stack?: Stack;
  /** The cluster network's first three numbers. Default: $CLUSTERLOCK_NETWORK, else 192.168.56. */
  readonly network?: string;
}

const VIRSH = ["virsh", "-c", "qemu:///system"];

/**
 * Takes the machines of the Vagrantfile in a directory for a cluster, and brings them up first when they are not. What
 * it has made, `down` destroys; machines that were there before stay.
 */
export async function connectVagrant(directory: string, options: VagrantOptions = {}): Promise<Cluster> {
  const cwd = path.resolve(directory);
  if (!existsSync(path.join(cwd, "Vagrantfile"))) throw new LabOptionError(`there is no Vagrantfile in ${cwd}`);
  const stack = options.stack ?? stackName(process.env.CLUSTERLOCK_STACK ?? "dlm");
  const network = options.network ?? process.env.CLUSTERLOCK_NETWORK ?? "192.168.56";
  const signal = options.signal ?? new AbortController().signal;
  const made = await bringUp(cwd, options.onProgress ?? ((): void => undefined), signal);
  const place = await mkdtemp(path.join(tempRoot(), "clusterlock-vagrant-"));
  const end = async (): Promise<void> => {
    await rm(place, { recursive: true, force: true });
    // even when the signal has aborted
    if (made.length > 0) await vagrant(cwd, ["destroy", "-f", "--no-tty", ...made], new AbortController().signal);
  };
  let hosts: SshHostSpec[];
  try {
    const config = path.join(place, "ssh-config");
    const text = await vagrant(cwd, ["ssh-config"], signal);
    await writeFile(config, text, { mode: 0o600 });
    hosts = await Promise.all(machineNames(text).map((name) => machine(cwd, name, config, network, signal)));
  } catch (error) {
    await end();
    throw error;
  }
  return openSshCluster("vagrant", { hosts, stack }, options, end);
}

/** Returns the machines that were not there before. */
async function bringUp(cwd: string, progress: (line: string) => void, signal: AbortSignal): Promise<string[]> {
  const states = machineStates(await vagrant(cwd, ["status", "--machine-readable"], signal));
  const made = [...states].filter(([, state]) => state === "not_created").map(([name]) => name);
  if ([...states.values()].every((state) => state === "running")) return made;
  progress("vagrant brings up its machines; this takes minutes");
  try {
    await vagrant(cwd, ["up", "--provider=libvirt", "--no-tty"], signal);
    await vagrant(cwd, ["provision", "--provision-with", "ready", "--no-tty"], signal);
  } catch (error) {
    if (made.length > 0) await vagrant(cwd, ["destroy", "-f", "--no-tty", ...made], new AbortController().signal);
    throw error;
  }
  return made;
}

async function machine(
  cwd: string,
  name: string,
  config: string,
  network: string,
  signal: AbortSignal,
): Promise<SshHostSpec> {
  const reached = { ssh: name, options: ["-F", config], sudo: true };
  const shown = await command(sshCommand({ ...reached, address: "", interface: "" }, ["ip", "-o", "-4", "address"]), {
    signal,
  });
  const cluster = addressIn(network, shown);
  if (cluster === undefined) throw new LabError(`${name} has no address in ${network}.0/24, the cluster network`);
  const domain = await domainOf(cwd, name);
  const virsh = (verb: string): string[] => [...VIRSH, verb, domain];
  return {
    ...reached,
    ...cluster,
    powerOff: virsh("destroy"),
    powerOn: virsh("start"),
    freeze: virsh("suspend"),
    thaw: virsh("resume"),
  };
}

/** The UUID of the machine's libvirt domain, as vagrant-libvirt has noted it. */
async function domainOf(cwd: string, name: string): Promise<string> {
  const file = path.join(
    process.env.VAGRANT_DOTFILE_PATH ?? path.join(cwd, ".vagrant"),
    "machines",
    name,
    "libvirt/id",
  );
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new LabError(`${name} is no machine of vagrant-libvirt: ${messageOf(error)}`);
  }
}

async function vagrant(cwd: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  try {
    return await command(["vagrant", ...args], { signal, cwd });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // the first of several errors is the cause
    const reason = error.stderr.split("\n").find((line) => line.trim() !== "") ?? error.message;
    throw new LabError(`vagrant ${args[0] ?? ""}: ${reason.trim()}`);
  }
}
