// Copies directories to the same path on a host, for machines that share none.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";

import { LabError } from "../errors";
import { within } from "../waiting";
import { quote, sshCommand } from "./command-line";
import type { Host } from "./inventory";

const LIMIT_S = 1800;

export async function syncDirectory(host: Host, directory: string, signal: AbortSignal): Promise<void> {
  const unpack = `mkdir -p ${quote(directory)} && exec tar -C ${quote(directory)} -x`;
  const [program, ...args] = sshCommand(host, ["/bin/sh", "-c", unpack]);
  const pack = spawn("tar", ["-C", directory, "-c", "."], { stdio: ["ignore", "pipe", "pipe"] });
  const ssh = spawn("setpriv", ["--pdeathsig", "TERM", "--", program ?? "ssh", ...args], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  // how ssh ends tells more than that it reads no longer
  const copied = pipeline(pack.stdout, ssh.stdin).catch(() => undefined);
  let said = "";
  for (const stderr of [pack.stderr, ssh.stderr]) {
    stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
  }
  const ended = Promise.all([once(pack, "close"), once(ssh, "close"), copied]) as Promise<
    [[number | null], [number | null], unknown]
  >;
  try {
    const [[packed], [unpacked]] = await within(LIMIT_S, `a copy of ${directory}`, signal, ended);
    if (packed === 0 && unpacked === 0) return;
  } finally {
    pack.kill("SIGKILL");
    ssh.kill("SIGKILL");
  }
  throw new LabError(`cannot copy ${directory} to ${host.ssh}: ${said.trim().split("\n").at(-1) ?? ""}`);
}
