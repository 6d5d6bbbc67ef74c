// Starts a lab: its keeper in a process of its own, and the connection to it that the lab lives and dies with.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import type { Duplex } from "node:stream";

import { LabError } from "../errors";
import type { LabOptions, LabPlan } from "../options";
import { packageRoot } from "../paths";
import { KeeperConnection, RemoteCluster } from "./remote-cluster";

// compiled: the keeper may outlive a caller that loads TypeScript
const KEEPER = path.join(packageRoot, "dist/lab/keeper/main.js");

/** The keeper ends by itself; this is for one that cannot. */
const END_LIMIT_MS = 30_000;

/** `keep`: the lab goes on when this process is done with it. */
export async function startLab(
  plan: LabPlan,
  { signal, onProgress }: Pick<LabOptions, "signal" | "onProgress">,
  keep: boolean,
): Promise<RemoteCluster> {
  signal?.throwIfAborted();
  if (!existsSync(KEEPER)) throw new LabError(`${KEEPER} is missing: run \`npm run build:ts\` in ${packageRoot}`);
  const child = spawn(process.execPath, [KEEPER], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    // a terminal's ^C and ^Z are for us, not for it
    detached: true,
  });
  let complaint = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      resolve();
    });
    child.once("error", () => {
      resolve();
    });
  });
  const stream = child.stdio[3] as Duplex;
  let ready!: () => void;
  let fail!: (error: Error) => void;
  const booted = new Promise<void>((resolve, reject) => {
    ready = resolve;
    fail = reject;
  });
  const connection = new KeeperConnection(stream, {
    ...(onProgress === undefined ? {} : { onProgress }),
    onReady: ready,
    onFailed: fail,
    onGone: () => {
      void ended.then(() => {
        fail(new LabError(`the lab's own process ended: ${complaint.trim().split("\n").at(-1) ?? ""}`));
      });
    },
  });
  const release = async (): Promise<void> => {
    connection.close();
    const limit = setTimeout(() => child.kill("SIGKILL"), END_LIMIT_MS);
    await ended;
    clearTimeout(limit);
    signal?.removeEventListener("abort", onAbort);
  };
  const onAbort = (): void => {
    fail(signal?.reason as Error);
    connection.lose(signal?.reason as Error);
    // it may just have become independent of us
    child.kill("SIGTERM");
    void release();
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  connection.send({ t: "boot", plan, keep });
  try {
    await booted;
    const facts = await connection.facts;
    if (!keep) return new RemoteCluster(facts, connection, release);
  } catch (error) {
    await release();
    throw error;
  }
  // the lab is on its own now; this process may end
  signal?.removeEventListener("abort", onAbort);
  child.unref();
  child.stderr?.destroy();
  connection.unrefWhenIdle();
  return new RemoteCluster(await connection.facts, connection, async () => {
    connection.close();
    return Promise.resolve();
  });
}
