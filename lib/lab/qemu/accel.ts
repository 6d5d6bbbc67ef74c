// KVM or TCG: KVM only where it is seen to work, because on some hosts it opens and then hangs.

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { LabError } from "../errors";
import { cacheRoot } from "../paths";
import type { Accel } from "./args";
import { QEMU } from "./args";

const PROBE_SECONDS = 5;

export async function chooseAccel(
  kernel: string,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<Accel> {
  const wanted = process.env.CLUSTERLOCK_LAB_ACCEL;
  if (wanted === "kvm" || wanted === "tcg") return wanted;
  if (wanted !== undefined && wanted !== "") {
    throw new LabError(`CLUSTERLOCK_LAB_ACCEL=${wanted}: set it to kvm or tcg, or unset it`);
  }
  if (!(await canOpenKvm())) return "tcg";
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const key = `${bootId} ${os.release()} ${process.getuid?.() ?? 0}`;
  const file = path.join(cacheRoot(), "accel.json");
  const known = await savedAnswer(file, key);
  if (known !== undefined) return known;
  progress(`trying KVM for up to ${PROBE_SECONDS} s (once after each boot of this machine)`);
  const accel = (await bootsWithKvm(kernel, signal)) ? "kvm" : "tcg";
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, JSON.stringify({ key, accel }));
  await rename(`${file}.${process.pid}`, file);
  return accel;
}

async function canOpenKvm(): Promise<boolean> {
  return access("/dev/kvm", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function savedAnswer(file: string, key: string): Promise<Accel | undefined> {
  try {
    const saved = JSON.parse(await readFile(file, "utf8")) as { key?: unknown; accel?: unknown };
    if (saved.key === key && (saved.accel === "kvm" || saved.accel === "tcg")) return saved.accel;
  } catch {
    // not there, or not ours: ask again
  }
  return undefined;
}

/** Boots the bare kernel until its first words. */
async function bootsWithKvm(kernel: string, signal: AbortSignal): Promise<boolean> {
  const args = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "kvm", "-M", "q35"];
  args.push("-cpu", "max", "-m", "256", "-kernel", kernel, "-serial", "stdio");
  args.push("-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1");
  const qemu = spawn("setpriv", ["--pdeathsig", "KILL", "--", QEMU, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PROBE_SECONDS * 1000)]);
  let seen = "";
  const ended = new Promise<void>((resolve) => {
    qemu.once("error", () => {
      resolve();
    });
    qemu.once("close", () => {
      resolve();
    });
  });
  const stop = (): void => {
    qemu.kill("SIGKILL");
  };
  limit.addEventListener("abort", stop, { once: true });
  qemu.stdout.on("data", (chunk: Buffer) => {
    seen = (seen + chunk.toString("latin1")).slice(-4096);
    if (seen.includes("Linux version")) stop();
  });
  await ended;
  limit.removeEventListener("abort", stop);
  signal.throwIfAborted();
  return seen.includes("Linux version");
}
