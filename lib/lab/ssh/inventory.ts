// The inventory of the ssh driver: which machines are the cluster's nodes, and how to reach and to switch them.

import { readFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";

import type { Stack } from "../cluster";
import { LabError, LabOptionError, messageOf } from "../errors";
import { stackName } from "../options";

/** One node. A command is a program and its arguments; it runs on the controlling machine, not on the node. */
export interface SshHostSpec {
  /** Destination as ssh(1) takes it: user@host, or a name of ssh_config(5). */
  readonly ssh: string;
  /** More arguments of ssh(1): a port, an identity, a ProxyCommand. */
  readonly options?: readonly string[];
  /** Its address on the cluster network. */
  readonly address: string;
  /** The network interface with that address. */
  readonly interface: string;
  /** The login is not root's: become root by sudo(8), which must not ask for a password. */
  readonly sudo?: boolean;
  /** Cuts the power; it must end only when the machine is off. */
  readonly powerOff?: readonly string[];
  /** Switches the machine on. */
  readonly powerOn?: readonly string[];
  /** Stops the machine's processors; it must end only when they stand. */
  readonly freeze?: readonly string[];
  readonly thaw?: readonly string[];
}

export interface SshInventory {
  /** Nodes 1..N, in this order. */
  readonly hosts: readonly SshHostSpec[];
  /** Default "dlm" */
  readonly stack?: Stack;
  /** Node's path on the hosts. Default: the path of the Node that runs the driver. */
  readonly node?: string;
  /** Directories to copy to the same path on every host, at the beginning. Default: none, the hosts have them. */
  readonly sync?: readonly string[];
  /** Set the cluster stack up as the lab does. Default: it is up already, and is only waited for. */
  readonly setup?: boolean;
}

export type Inventory = Required<Omit<SshInventory, "hosts">> & { readonly hosts: readonly Host[] };
export type HostCommand = "powerOff" | "powerOn" | "freeze" | "thaw";
export type Host = Required<Pick<SshHostSpec, "ssh" | "options" | "address" | "interface" | "sudo">> &
  Partial<Readonly<Record<HostCommand, readonly string[]>>>;

/** A queueing discipline of 16 bands serves the peers' faults on a node, and one band is for all the rest. */
export const MAX_HOSTS = 16;
const COMMANDS: readonly HostCommand[] = ["powerOff", "powerOn", "freeze", "thaw"];

export async function readInventory(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new LabError(`cannot read the inventory: ${messageOf(error)}`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new LabOptionError(`inventory: ${file} is not JSON (${messageOf(error)})`);
  }
}

export function resolveInventory(given: unknown): Inventory {
  const all = object("inventory", given, ["hosts", "stack", "node", "sync", "setup"]);
  const hosts = array("hosts", all.hosts).map((host, index) => resolveHost(`hosts[${index}]`, host));
  if (hosts.length < 1 || hosts.length > MAX_HOSTS) wrong("hosts", `${hosts.length} hosts are not 1..${MAX_HOSTS}`);
  noTwins("ssh", hosts);
  noTwins("address", hosts);
  return {
    hosts,
    stack: stackName(optional("stack", all.stack, string) ?? "dlm"),
    node: optional("node", all.node, absolutePath) ?? process.execPath,
    sync: optional("sync", all.sync, words)?.map((word, index) => absolutePath(`sync[${index}]`, word)) ?? [],
    setup: optional("setup", all.setup, boolean) ?? false,
  };
}

function resolveHost(key: string, given: unknown): Host {
  const host = object(key, given, ["ssh", "options", "address", "interface", "sudo", ...COMMANDS]);
  const ssh = string(`${key}.ssh`, host.ssh);
  if (ssh.startsWith("-")) wrong(`${key}.ssh`, `"${ssh}" is an option, not a destination`);
  const address = string(`${key}.address`, host.address);
  if (net.isIP(address) === 0) wrong(`${key}.address`, `"${address}" is not an IP address`);
  const name = string(`${key}.interface`, host.interface);
  if (!/^[^\s/"]{1,15}$/.test(name)) wrong(`${key}.interface`, `"${name}" cannot be a network interface`);
  const commands: Partial<Record<HostCommand, readonly string[]>> = {};
  for (const command of COMMANDS) {
    const argv = optional(`${key}.${command}`, host[command], words);
    if (argv?.length === 0) wrong(`${key}.${command}`, "the command is empty");
    if (argv !== undefined) commands[command] = argv;
  }
  return {
    ssh,
    options: optional(`${key}.options`, host.options, words) ?? [],
    address,
    interface: name,
    sudo: optional(`${key}.sudo`, host.sudo, boolean) ?? false,
    ...commands,
  };
}

function noTwins(what: "ssh" | "address", hosts: readonly Host[]): void {
  hosts.forEach((host, index) => {
    const twin = hosts.findIndex((other) => other[what] === host[what] && sameWay(what, other, host));
    if (twin !== index) wrong(`hosts[${index}].${what}`, `"${host[what]}" is hosts[${twin}]'s`);
  });
}

// one name may lead to different machines by different ports or proxies
function sameWay(what: "ssh" | "address", a: Host, b: Host): boolean {
  return what === "address" || a.options.join("\0") === b.options.join("\0");
}

function object(key: string, given: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return wrong(key, "not an object");
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      wrong(key === "inventory" ? name : `${key}.${name}`, `there is no such key; known are ${known.join(", ")}`);
    }
  }
  return given as Readonly<Record<string, unknown>>;
}

function optional<T>(key: string, given: unknown, read: (key: string, given: unknown) => T): T | undefined {
  return given === undefined ? undefined : read(key, given);
}

function array(key: string, given: unknown): readonly unknown[] {
  return Array.isArray(given)
    ? (given as readonly unknown[])
    : wrong(key, given === undefined ? "missing" : "not a list");
}

function words(key: string, given: unknown): readonly string[] {
  return array(key, given).map((word, index) => string(`${key}[${index}]`, word));
}

function string(key: string, given: unknown): string {
  if (given === undefined) return wrong(key, "missing");
  if (typeof given !== "string" || given === "" || given.includes("\0")) return wrong(key, "not a text");
  return given;
}

function absolutePath(key: string, given: unknown): string {
  const text = string(key, given);
  return path.isAbsolute(text) ? text : wrong(key, `"${text}" is not an absolute path`);
}

function boolean(key: string, given: unknown): boolean {
  return typeof given === "boolean" ? given : wrong(key, "neither true nor false");
}

function wrong(key: string, what: string): never {
  throw new LabOptionError(`inventory: ${key}: ${what}`);
}
