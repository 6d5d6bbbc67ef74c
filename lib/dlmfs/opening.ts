import { constants } from "node:fs";

import type { NativeFile, NativeOpenerEvent } from "../native";

import type { Handle } from "./handle";
import type { DomainLockMode } from "./lock-options";
import type { NamedLock } from "./named-lock";
import type { Task } from "./opener";

export interface OpeningOwner {
  opened: (file: NativeFile) => void;
  failed: (outcome: NativeOpenerEvent | Error) => void;
}

export interface OpeningOptions {
  /** Whether others of this node are to be kept out first. */
  exclude: boolean;
  /** By the kernel's own trylock. */
  raw?: boolean;
  fileMode?: number | undefined;
}

const FILE_MODE = 0o664;

/**
 * An open(2) of a lock's file in the opener: the kernel's request for the lock. Nothing takes it back once it is there, so
 * it may outlive its owner, and be taken over by another one.
 */
export class Opening {
  readonly mode: DomainLockMode;
  readonly raw: boolean;
  readonly since: number = performance.now();
  readonly id: number;
  readonly #named: NamedLock;
  readonly #task: Task;
  #owner: OpeningOwner | undefined;
  #phase: "local" | "kernel" = "local";
  #onKernel: (() => void) | undefined;

  constructor(handle: Handle, named: NamedLock, mode: DomainLockMode, options: OpeningOptions, owner: OpeningOwner) {
    this.mode = mode;
    this.raw = options.raw ?? false;
    this.#named = named;
    this.#owner = owner;
    const access = mode === "EX" ? constants.O_RDWR : constants.O_RDONLY;
    const { sidecar } = handle;
    this.#task = handle.opener.submit(
      {
        op: "acquire",
        path: handle.pathOf(named.name),
        name: named.name,
        flags: access | constants.O_CREAT | (this.raw ? constants.O_NONBLOCK : 0),
        mode: options.fileMode ?? FILE_MODE,
        sidecarPath: sidecar?.path ?? "",
        // the kernel's trylock does not wait, and so cannot wait for ever
        gatePath: (mode === "EX" && !this.raw && handle.gateOf(named.name)) || "",
        range: options.exclude && sidecar ? (mode === "EX" ? 2 : 1) : 0,
        ...(sidecar && { sidecar: sidecar.file }),
      },
      {
        phase: () => {
          this.#phase = "kernel";
          this.#onKernel?.();
        },
        done: (outcome) => {
          this.#done(outcome);
        },
      },
    );
    this.id = this.#task.id;
  }

  get phase(): "local" | "kernel" {
    return this.#phase;
  }

  /** Makes somebody wait for what nobody waits for. */
  adopt(owner: OpeningOwner): void {
    this.#named.reclaim(this);
    this.#owner = owner;
    this.#task.care(true);
  }

  /** Nobody waits for it any more. `left` is called as soon as others of this handle may come in. */
  desert(left: () => void): void {
    if (this.#phase === "kernel") {
      this.#abandon();
      left();
      return;
    }
    this.#task.care(false);
    this.#task.cancel();
    this.#owner = {
      opened: (file) => {
        file.close();
        left();
      },
      failed: left,
    };
    this.#onKernel = () => {
      this.#onKernel = undefined;
      this.#abandon();
      left();
    };
  }

  #abandon(): void {
    this.#task.care(false);
    this.#owner = undefined;
    this.#named.desert(this);
  }

  #done(outcome: NativeOpenerEvent | Error): void {
    this.#onKernel = undefined;
    const owner = this.#owner;
    this.#owner = undefined;
    this.#named.reclaim(this);
    const file = outcome instanceof Error ? undefined : outcome.file;
    if (!owner) file?.close();
    else if (file) owner.opened(file);
    else owner.failed(outcome);
  }
}
