import type { NativeAddon, NativeUevent } from "../../../../lib/native";
import { NO_ADDON } from "../../support/no-addon";

const ECONNREFUSED = -111;

/** What a watch needs of the addon, and what came of it. */
export class FakeAddon {
  /** What connectAbstract() answers in turn; the last answer stays. */
  answers: (number | (() => number))[] = [ECONNREFUSED];
  knocks = 0;
  /** How often watchUevents() is to fail. */
  failures = 0;
  /** Listening sockets that are open. */
  sources = 0;
  #announce: ((events: NativeUevent[], overflowed: boolean) => void) | undefined;

  get addon(): NativeAddon {
    return {
      ...NO_ADDON,
      connectAbstract: () => {
        this.knocks++;
        const answer = (this.answers.length > 1 ? this.answers.shift() : this.answers[0]) ?? ECONNREFUSED;
        return typeof answer === "number" ? answer : answer();
      },
      watchUevents: (callback) => {
        if (this.failures-- > 0) throw new Error("socket: Too many open files");
        this.#announce = callback;
        this.sources++;
        return {
          setRef: () => undefined,
          close: () => {
            this.sources--;
            this.#announce = undefined;
          },
        };
      },
    };
  }

  announce(action: string, ...lockspaces: string[]): void {
    this.#announce?.(
      lockspaces.map((lockspace) => ({ action, lockspace, devpath: "" })),
      false,
    );
  }

  overflow(): void {
    this.#announce?.([], true);
  }
}
