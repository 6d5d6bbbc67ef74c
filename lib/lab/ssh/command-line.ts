// The command lines of ssh(1), and what it is to start over there.

import path from "node:path";

import { packageRoot } from "../paths";
import type { Host } from "./inventory";

/** The compiled agent: hosts have no TypeScript loader. */
export const AGENT: string = path.join(packageRoot, "dist/lab/ssh/agent.js");

// Ours come first, as ssh takes the first value that it is given. One connection of our own for each session: its end
// must mean something. Whether the node lives is asked by the driver, which knows when it is frozen.
const OURS = [
  ...["-T", "-a", "-x", "-e", "none", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none"],
  ...["-o", "ServerAliveInterval=0", "-o", "ClearAllForwardings=yes", "-o", "LogLevel=ERROR"],
];
const DEFAULTS = ["-o", "ConnectTimeout=10"];

/** ssh(1) that runs a program on the host as root. */
export function sshCommand(host: Host, argv: readonly string[]): string[] {
  // the login shell may be any; `exec` leaves nothing of it between sshd and the program
  const become = host.sudo ? "sudo -n -- " : "";
  return ["ssh", ...OURS, ...host.options, ...DEFAULTS, "--", host.ssh, `exec ${become}${argv.map(quote).join(" ")}`];
}

// Everything the driver counts on, so that what is missing has a name.
const CHECKS = [
  '[ "$(id -u)" = 0 ] || { echo "the login is not root\'s (see the inventory\'s key sudo)" >&2; exit 1; }',
  '[ -x "$1" ] || { echo "there is no Node at $1 (see the inventory\'s key node)" >&2; exit 1; }',
  '[ -e "$2" ] || { echo "there is no $2 (see the inventory\'s key sync)" >&2; exit 1; }',
  '[ -d "$3" ] || { echo "there is no directory $3 (see the inventory\'s key sync)" >&2; exit 1; }',
  'exec "$1" "$2" "$4"',
].join("; ");

export function agentCommand(host: Host, node: string): string[] {
  const argv = ["/bin/sh", "-c", CHECKS, "sh", node, AGENT, process.cwd()];
  const command = sshCommand(host, argv);
  // sudo(8) takes the variable away
  return [...command.slice(0, -1), `${command.at(-1) ?? ""} "$SSH_CONNECTION"`];
}

/** One word for any shell: between single quotes nothing is special but the single quote. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
