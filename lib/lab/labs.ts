// Finds the labs that run on this machine, or the one that this node belongs to.

import type { Socket } from "node:net";
import net from "node:net";
import { lstat, readdir } from "node:fs/promises";
import path from "node:path";

import { LabError } from "./errors";
import { LAB_SOCKET_NAME, labDirectory, labNameOf, labRoot } from "./paths";

/** What every program in a node of a lab has in its environment: the lab's socket. */
export const LAB_VARIABLE = "CLUSTERLOCK_LAB";

/** A connection to the lab of that name; without one, to the lab of this node, or the only one on this machine. */
export async function connectToLab(name: string | undefined): Promise<Socket> {
  if (name !== undefined) return connectTo(await checkedSocket(labDirectory(name)), `there is no lab named ${name}`);
  const given = process.env[LAB_VARIABLE];
  if (given !== undefined && given !== "") return connectTo(given, `no lab answers at ${LAB_VARIABLE}=${given}`);
  const names = await runningLabs();
  const [only] = names;
  if (only === undefined) throw new LabError("no lab is up: start one by `clusterlock lab up`");
  if (names.length > 1) throw new LabError(`several labs are up (${names.join(", ")}): say which by --name`);
  return connectTo(await checkedSocket(labDirectory(only)), `the lab ${only} has just ended`);
}

/** The names of this user's labs that answer. */
export async function runningLabs(): Promise<string[]> {
  const entries = await readdir(labRoot()).catch(() => []);
  const names = entries.map(labNameOf).filter((name) => name !== undefined);
  const answers = await Promise.all(names.map(async (name) => labSocketAnswers(labDirectory(name))));
  return names.filter((_, index) => answers[index]).sort();
}

export async function labSocketAnswers(directory: string): Promise<boolean> {
  try {
    (await connectTo(await checkedSocket(directory), "")).destroy();
    return true;
  } catch {
    return false;
  }
}

/** The socket in a directory that nobody but this user, or root, can have made. */
async function checkedSocket(directory: string): Promise<string> {
  const found = await lstat(directory).catch(() => undefined);
  const uid = process.getuid?.();
  if (found !== undefined && (!found.isDirectory() || (found.uid !== uid && found.uid !== 0))) {
    throw new LabError(`${directory} is not yours`);
  }
  return path.join(directory, LAB_SOCKET_NAME);
}

const ANSWER_MS = 10_000;

async function connectTo(socket: string, otherwise: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stream = net.connect(socket);
    const limit = setTimeout(() => {
      stream.destroy();
      reject(new LabError(`${socket} does not answer`));
    }, ANSWER_MS);
    stream.once("close", () => {
      clearTimeout(limit);
    });
    stream.once("connect", () => {
      clearTimeout(limit);
      stream.removeAllListeners("error");
      resolve(stream);
    });
    stream.once("error", (error: NodeJS.ErrnoException) => {
      reject(new LabError(error.code === "EACCES" ? `${socket}: permission denied` : otherwise));
    });
  });
}
