// What a sequence is made of: plain data, so that a failing one can be printed, shrunk and pasted into a test.

import fc from "fast-check";

import { MODES, type ModeName } from "./tables";

export const HANDLES = 3;
export const RESOURCES = 2;
/** Each resource has two locks of each handle. */
export const SLOTS: number = HANDLES * RESOURCES * 2;

export function handleOf(slot: number): number {
  return slot % HANDLES;
}

export function resourceOf(slot: number): number {
  return Math.floor(slot / HANDLES) % RESOURCES;
}

/** `read`: take part in the value; `off`: not any more; a number: take part and write a block that starts with it. */
export type LvbChoice = "read" | "off" | number;

/** Options of requests and conversions by the API's names; a new one is added here, in Request, and in dlm-model.ts. */
export interface LockFlags {
  readonly noOrder?: true;
  readonly headQueue?: true;
  readonly expedite?: true;
  readonly altMode?: "PR" | "CW";
  readonly notifyHolders?: true;
}

export interface ConvertFlags {
  readonly noOrder?: true;
  readonly headQueue?: true;
  readonly queue?: true;
  readonly deadlock?: "wait" | "demote";
  readonly notifyHolders?: true;
  readonly invalidateLvb?: true;
}

export type Command =
  | {
      readonly do: "lock";
      readonly slot: number;
      readonly mode: ModeName;
      readonly try?: boolean | undefined;
      readonly lvb?: LvbChoice | undefined;
      readonly listen?: boolean | undefined;
      readonly flags?: LockFlags | undefined;
    }
  | {
      readonly do: "convert";
      readonly slot: number;
      readonly mode: ModeName;
      readonly try?: boolean | undefined;
      readonly lvb?: LvbChoice | undefined;
      /** Undefined: go on as before. */
      readonly listen?: boolean | undefined;
      readonly flags?: ConvertFlags | undefined;
    }
  | { readonly do: "abort"; readonly slot: number }
  | { readonly do: "release"; readonly slot: number; readonly lvb?: number | "invalidate" | undefined }
  /** Lockspace.close(): in good order. */
  | { readonly do: "close"; readonly handle: number }
  /** The device is closed with all locks on it, as the end of a process does. */
  | { readonly do: "drop"; readonly handle: number };

/** Picks one thing after the other out of a number: drawing each by itself takes a node that is emulated too long. */
class Lot {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  below(count: number): number {
    const found = this.#number % count;
    this.#number = Math.floor(this.#number / count);
    return found;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** As likely as `times` of `outOf`. */
  chance(times: number, outOf: number): boolean {
    return this.below(outOf) < times;
  }
}

const LOTS = 2 ** 31 - 1;

const KINDS = [
  ...Array<Command["do"]>(16).fill("lock"),
  ...Array<Command["do"]>(22).fill("convert"),
  ...Array<Command["do"]>(5).fill("abort"),
  ...Array<Command["do"]>(10).fill("release"),
];
const TRY_FLAGS: readonly ({ notifyHolders?: true } | undefined)[] = [undefined, { notifyHolders: true }];
const LOCK_FLAGS: readonly LockFlags[] = [
  { noOrder: true },
  { headQueue: true },
  { headQueue: true, noOrder: true },
  { expedite: true },
  { altMode: "PR" },
  { altMode: "CW" },
];
const CONVERT_FLAGS: readonly ConvertFlags[] = [
  { noOrder: true },
  { headQueue: true },
  { queue: true },
  { queue: true, headQueue: true },
  { deadlock: "wait" },
  { deadlock: "demote" },
  { invalidateLvb: true },
];

function lvbOf(lot: Lot, others: readonly (LvbChoice | undefined)[]): LvbChoice | undefined {
  return lot.chance(2, 5) ? 1 + lot.below(255) : lot.of(others);
}

// What is undefined is left out: a printed command shows what it asks for.
function without<T extends object>(command: T): T {
  return Object.fromEntries(Object.entries(command).filter(([, value]) => value !== undefined)) as T;
}

/** The command that a number below LOTS stands for. */
export function commandOf(number: number, withFlags: boolean): Command {
  const lot = new Lot(number);
  const kind = lot.of(KINDS);
  // now and then a whole handle goes
  if (kind === "release" && lot.chance(1, 12)) {
    return { do: lot.of(["close", "drop"] as const), handle: lot.below(HANDLES) };
  }
  const slot = lot.below(SLOTS);
  if (kind === "abort") return { do: kind, slot };
  if (kind === "release") {
    const lvb = lot.chance(1, 8) ? ("invalidate" as const) : lot.chance(1, 3) ? 1 + lot.below(255) : undefined;
    return without({ do: kind, slot, lvb });
  }
  const mode = lot.of(MODES);
  const tries = lot.chance(1, 6) ? true : undefined;
  const flagged = withFlags && lot.chance(1, 2);
  if (kind === "lock") {
    const listen = lot.chance(1, 2) ? true : undefined;
    const flags = tries ? lot.of(TRY_FLAGS) : flagged ? lot.of(LOCK_FLAGS) : undefined;
    return without({ do: kind, slot, mode, try: tries, listen, flags, lvb: lvbOf(lot, [undefined, "read"]) });
  }
  const listen = lot.of([undefined, undefined, true, false]);
  const flags: ConvertFlags | undefined = tries ? lot.of(TRY_FLAGS) : flagged ? lot.of(CONVERT_FLAGS) : undefined;
  const lvb = flags?.invalidateLvb ? undefined : lvbOf(lot, [undefined, undefined, "read", "off"]);
  return without({ do: "convert" as const, slot, mode, try: tries, listen, flags, lvb });
}

// Without bias: fast-check would prefer small numbers, and so one kind of command.
const number = fc.noBias(fc.nat({ max: LOTS }));

/** One command, whether it makes sense in its turn or not. */
export const command: fc.Arbitrary<Command> = number.map((drawn) => commandOf(drawn, true));

/** One whose effect on others does not depend on more than the order of grants. */
export const plainCommand: fc.Arbitrary<Command> = number.map((drawn) => commandOf(drawn, false));
