// KVM or TCG: KVM only where it is seen to work, because on some hosts it opens and then hangs.

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { LabError } from "../errors";
import { readNote, writeNote } from "../image/notes";
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
  if (isAccel(wanted)) return wanted;
  if (wanted !== undefined && wanted !== "") {
    throw new LabError(`CLUSTERLOCK_LAB_ACCEL=${wanted}: set it to kvm or tcg, or unset it`);
  }
  if (!(await canOpenKvm())) return "tcg";
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const host = `${bootId} ${os.release()} ${process.getuid?.() ?? 0}`;
  const file = path.join(cacheRoot(), "accel.json");
  const answers = savedAnswers(await readNote(file), host);
  const known = answerFor(kernel, answers);
  if (known !== undefined) return known;
  progress(`trying KVM for up to ${PROBE_SECONDS} s (once after each boot of this machine)`);
  const accel = (await bootsWithKvm(kernel, signal)) ? "kvm" : "tcg";
  const note: Note = { host, answers: { ...answers, [kernel]: accel } };
  await writeNote(file, note);
  return accel;
}

/** What the probe found, for each kernel that it was tried with. */
export type Answers = Readonly<Record<string, Accel>>;

interface Note {
  readonly host: string;
  readonly answers: Answers;
}

/** KVM that has booted any kernel works, but a kernel that did not boot may itself be at fault. */
export function answerFor(kernel: string, answers: Answers): Accel | undefined {
  return Object.values(answers).includes("kvm") ? "kvm" : answers[kernel];
}

/** Answers that were found on this host since it was booted; none when the note is not of our making. */
export function savedAnswers(note: unknown, host: string): Answers {
  const saved = note as { host?: unknown; answers?: Record<string, unknown> | null } | null | undefined;
  if (saved?.host !== host) return {};
  const known = Object.entries(saved.answers ?? {}).filter((one): one is [string, Accel] => isAccel(one[1]));
  return Object.fromEntries(known);
}

function isAccel(value: unknown): value is Accel {
  return value === "kvm" || value === "tcg";
}

async function canOpenKvm(): Promise<boolean> {
  return access("/dev/kvm", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
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
