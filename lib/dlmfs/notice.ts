import type { NativeFile } from "../native";
import { tell } from "../tell";

import type { DomainLockMode } from "./lock-options";

// A reader can be told of a demand that is none of its business: the node had EX cached, and is on its way down to PR for
// another reader. So it looks again. Source: fs/ocfs2/dlmfs/dlmfs.c, dlmfs_file_poll().
const LOOKS: Readonly<Record<DomainLockMode, readonly number[]>> = { EX: [], PR: [3, 15] };

/** Waits for the one notice that a hold can get. The kernel's is level-triggered: without an end it would never be still. */
export class Notice {
  readonly #file: NativeFile;
  readonly #looks: readonly number[];
  readonly #told: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @throws an error with a code when the file cannot be polled */
  constructor(file: NativeFile, mode: DomainLockMode, told: () => void) {
    this.#file = file;
    this.#looks = LOOKS[mode];
    this.#told = told;
    this.#watch();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#file.unwatch();
  }

  #watch(): void {
    this.#file.watch(() => {
      this.#look(0);
    });
    this.#file.setRef(true);
  }

  #look(times: number): void {
    if (!this.#file.readable()) {
      this.#watch();
      return;
    }
    const pause = this.#looks[times];
    if (pause === undefined) tell(this.#told);
    else
      this.#timer = setTimeout(() => {
        this.#look(times + 1);
      }, pause);
  }
}
