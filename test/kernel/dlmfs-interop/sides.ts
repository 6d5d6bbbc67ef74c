// The two sides of a lock: a program of libo2dlm's and one of ours, told the same.

import type { Shell } from "../support/shell";

import type { Mode, Peer } from "./peer";

export interface Side {
  hold(name: string, mode: Mode): Promise<void>;
  /** Resolves when it was told, once since it holds, that it is in another's way. */
  blocked(): Promise<void>;
  /** Gives back what it holds. */
  release(): Promise<void>;
  /** Resolves when it was granted, and has given that back. */
  waits(name: string, mode: Mode): Promise<void>;
  /** Of what it holds. */
  read(): Promise<Buffer>;
  write(value: Buffer): Promise<void>;
}

export function libo2dlm(peer: Peer): Side {
  let held = "";
  return {
    async hold(name, mode) {
      await peer.lockWithBast(name, mode);
      held = name;
    },
    async blocked() {
      await peer.blocked();
    },
    release: () => peer.unlock(held),
    async waits(name, mode) {
      await peer.lock(name, mode);
      await peer.unlock(name);
    },
    read: () => peer.readLvb(held),
    write: (value) => peer.writeLvb(held, value),
  };
}

export function clusterlock(shell: Shell): Side {
  return {
    async hold(name, mode) {
      await shell.call(
        async (node, ...[lockName, wanted]) => {
          let told: (by: "EX" | undefined) => void;
          const notice = new Promise<"EX" | undefined>((resolve) => (told = resolve));
          const lock = await node.domain.lock(lockName, {
            mode: wanted,
            signal: AbortSignal.timeout(20_000),
            onBlocking: (by) => {
              told(by);
            },
          });
          node.held["it"] = Object.assign(lock, { notice });
        },
        name,
        mode,
      );
    },
    async blocked() {
      await shell.call(async (node) =>
        (node.held["it"] as unknown as { notice: Promise<unknown> }).notice.then(() => undefined),
      );
    },
    release: () => shell.call((node) => node.held["it"]!.release()),
    async waits(name, mode) {
      await shell.call(
        async (node, ...[lockName, wanted]) => {
          await (await node.domain.lock(lockName, { mode: wanted })).release();
        },
        name,
        mode,
      );
    },
    async read() {
      const hex = await shell.call(async (node) => Buffer.from(await node.held["it"]!.readLvb()).toString("hex"));
      return Buffer.from(hex, "hex");
    },
    write: (value) =>
      shell.call((node, hex) => node.held["it"]!.writeLvb(Buffer.from(hex, "hex")), value.toString("hex")),
  };
}
