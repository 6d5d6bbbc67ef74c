// The two sides of a resource: a program of libdlm's and one of ours, told the same.

import assert from "node:assert/strict";

import type { LockMode } from "../../../lib/modes";
import type { Shell } from "../support/shell";

import type { Peer } from "./peer";

export interface Side {
  /** Makes its node the master of a resource that nobody stands on, and keeps the value block alive. */
  keep(resource: string): Promise<void>;
  /** Takes what it must be granted at once. */
  hold(resource: string, mode: LockMode): Promise<void>;
  /** Resolves when it was told, once since it holds, that it is in another's way; who knows for which mode says so. */
  blocked(): Promise<LockMode | undefined>;
  release(): Promise<void>;
  /** Asks without waiting, and gives back what it is granted. */
  tries(resource: string, mode: LockMode): Promise<boolean>;
  /** Resolves when it was granted, and has given that back. */
  waits(resource: string, mode: LockMode): Promise<void>;
}

const HELD = 0;
const ASKED = 1;
const KEPT = 2;

export function libdlm(peer: Peer): Side {
  return {
    async keep(resource) {
      assert.equal((await peer.lock(KEPT).request(resource, "NL", ["VALBLK"])).status, 0);
    },
    async hold(resource, mode) {
      assert.equal((await peer.lock(HELD).request(resource, mode, ["NOQUEUE"])).status, 0);
    },
    async blocked() {
      await peer.lock(HELD).blocked();
      return undefined;
    },
    async release() {
      assert.equal((await peer.lock(HELD).unlock()).status, "EUNLOCK");
    },
    async tries(resource, mode) {
      const { status } = await peer.lock(ASKED).request(resource, mode, ["NOQUEUE"]);
      if (status === "EAGAIN") return false;
      assert.equal(status, 0);
      assert.equal((await peer.lock(ASKED).unlock()).status, "EUNLOCK");
      return true;
    },
    async waits(resource, mode) {
      assert.equal((await peer.lock(ASKED).request(resource, mode)).status, 0);
      assert.equal((await peer.lock(ASKED).unlock()).status, "EUNLOCK");
    },
  };
}

export function clusterlock(shell: Shell): Side {
  return {
    async keep(resource) {
      await shell.call(async (node, name) => {
        node.locks["kept"] = await node.ls.lock(name, { mode: "NL", lvb: true });
      }, resource);
    },
    async hold(resource, mode) {
      await shell.call(
        async (node, ...[name, wanted]) => {
          let told: (mode: string) => void;
          const notice = new Promise<string>((resolve) => (told = resolve));
          const onBlocking = (by: string): void => {
            told(by);
          };
          const lock = await node.ls.tryLock(name, { mode: wanted, onBlocking });
          if (!lock) throw new Error("refused");
          node.locks["held"] = Object.assign(lock, { notice });
        },
        resource,
        mode,
      );
    },
    async blocked() {
      return shell.call((node) => (node.locks["held"] as unknown as { notice: Promise<LockMode> }).notice);
    },
    async release() {
      await shell.call(async (node) => node.locks["held"]?.release());
    },
    async tries(resource, mode) {
      return shell.call(
        async (node, ...[name, wanted]) => {
          const lock = await node.ls.tryLock(name, { mode: wanted });
          await lock?.release();
          return lock !== null;
        },
        resource,
        mode,
      );
    },
    async waits(resource, mode) {
      await shell.call(
        async (node, ...[name, wanted]) => {
          await (await node.ls.lock(name, { mode: wanted })).release();
        },
        resource,
        mode,
      );
    },
  };
}
