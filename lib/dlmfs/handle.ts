import type { LockStateError } from "../errors";
import type { NativeFile, NativeOpenerEvent } from "../native";

import type { Exclusion } from "./domain-options";
import { gateName } from "./gate";
import { dlmfsError } from "./hints";
import type { DomainLock } from "./lock";
import { NamedLock } from "./named-lock";
import type { Opener } from "./opener";
import type { LockRequest } from "./request";

/** How a handle excludes others of its node: the file whose bytes stand for the names of locks. */
export interface Sidecar {
  file: NativeFile;
  path: string;
}

/** What the parts of an open domain share. */
export class Handle {
  readonly name: string;
  readonly path: string;
  readonly stack: string;
  readonly exclusion: Exclusion;
  readonly exclusiveOnly: boolean;
  readonly opener: Opener;
  /** With exclusion "node" only. */
  readonly sidecar: Sidecar | undefined;
  readonly locks: Set<DomainLock> = new Set<DomainLock>();
  readonly requests: Set<LockRequest> = new Set<LockRequest>();
  readonly names: Map<string, NamedLock> = new Map<string, NamedLock>();
  /** Why nothing can be asked of it any more. */
  ended: LockStateError | undefined;

  constructor(facts: {
    name: string;
    path: string;
    stack: string;
    exclusion: Exclusion;
    exclusiveOnly: boolean;
    opener: Opener;
    sidecar: Sidecar | undefined;
  }) {
    this.name = facts.name;
    this.path = facts.path;
    this.stack = facts.stack;
    this.exclusion = facts.exclusion;
    this.exclusiveOnly = facts.exclusiveOnly;
    this.opener = facts.opener;
    this.sidecar = facts.sidecar;
  }

  pathOf(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Undefined where nobody can ever go from PR to EX. */
  gateOf(name: string): string | undefined {
    return this.exclusiveOnly ? undefined : this.pathOf(gateName(name));
  }

  named(name: string): NamedLock {
    let named = this.names.get(name);
    if (!named) {
      named = new NamedLock(name, this.sidecar?.file);
      this.names.set(name, named);
    }
    return named;
  }

  /** The error for an outcome that is a failure. */
  failure(outcome: NativeOpenerEvent, lock?: string): Error {
    const { errno, syscall } = outcome;
    const path = lock === undefined ? this.path : this.pathOf(lock);
    return dlmfsError(errno, syscall, { path, domain: this.name, stack: this.stack, ...(lock && { lock }) });
  }

  /**
   * Drops what the kernel has cached of a lock, unless somebody of this node has to do with it: then EBUSY is what it
   * answers. 0 when it is gone. Those of this handle who come meanwhile wait for it: on the file that is being dropped
   * their request would keep everybody of the node out of the directory.
   */
  drop(named: NamedLock): Promise<NativeOpenerEvent> {
    named.dropping ??= this.#drop(named).finally(() => {
      named.dropping = undefined;
    });
    return named.dropping;
  }

  /**
   * Drops what the kernel has cached of a lock for all of this node, but for those who have it open. The caller has kept
   * the others out, and nothing of his own is open. The file comes back as it was.
   */
  async renew({ name }: NamedLock): Promise<NativeOpenerEvent> {
    const path = this.pathOf(name);
    const { stat } = await this.opener.perform({ op: "stat", path });
    const sidecarPath = this.sidecar?.path ?? "";
    const outcome = await this.opener.perform({ op: "unlink", path, name, sidecarPath, range: EXCLUSIVE });
    if (outcome.errno === 0 && stat) {
      const { uid, gid } = process.geteuid?.() === 0 ? stat : { uid: -1, gid: -1 };
      await this.opener.perform({ op: "create", path, mode: stat.mode & 0o777, uid, gid });
    }
    return outcome;
  }

  async #drop(named: NamedLock): Promise<NativeOpenerEvent> {
    const { name } = named;
    if (!named.isIdle()) return { id: 0, kind: "done", errno: EBUSY, syscall: "fcntl" };
    const place = this.exclusion === "none" ? undefined : named.queue.tryJoin("EX");
    const { created } = named;
    named.created = false;
    named.unmark();
    const sidecarPath = this.sidecar?.path ?? "";
    const gate = this.gateOf(name);
    let gone = false;
    try {
      for (const path of gate === undefined ? [this.pathOf(name)] : [gate, this.pathOf(name)]) {
        const outcome = await this.opener.perform({ op: "unlink", path, name, sidecarPath });
        if (outcome.errno !== 0 && outcome.errno !== ENOENT) return outcome;
      }
      gone = true;
      return { id: 0, kind: "done", errno: 0, syscall: "" };
    } finally {
      named.created ||= created && !gone;
      // one of the two may be gone, whatever became of the other
      named.introduced = named.gated = false;
      place?.leave();
      if (gone && named.isIdle()) this.names.delete(name);
    }
  }
}

const EXCLUSIVE = 2;
const ENOENT = -2;
const EBUSY = -16;
