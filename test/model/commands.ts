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

const slot = fc.nat({ max: SLOTS - 1 });
const handle = fc.nat({ max: HANDLES - 1 });
const mode = fc.constantFrom(...MODES);
const bytes = fc.integer({ min: 1, max: 255 });
const lvb = fc.option(fc.oneof(fc.constant<LvbChoice>("read"), bytes), { nil: undefined });
const newLvb = fc.option(fc.oneof(fc.constantFrom<LvbChoice>("read", "off"), bytes), { nil: undefined });
const flag = fc.constantFrom(undefined, true);
const newListen = fc.constantFrom(undefined, undefined, true, false);
const none = fc.constant(undefined);

const lockFlags = fc.constantFrom<LockFlags | undefined>(
  ...Array.from({ length: 6 }, () => undefined),
  { noOrder: true },
  { headQueue: true },
  { headQueue: true, noOrder: true },
  { expedite: true },
  { altMode: "PR" },
  { altMode: "CW" },
);
const convertFlags = fc.constantFrom<ConvertFlags | undefined>(
  ...Array.from({ length: 7 }, () => undefined),
  { noOrder: true },
  { headQueue: true },
  { queue: true },
  { queue: true, headQueue: true },
  { deadlock: "wait" },
  { deadlock: "demote" },
  { invalidateLvb: true },
);
const tryFlags = fc.constantFrom<{ notifyHolders?: true } | undefined>(undefined, { notifyHolders: true });

function commands(withFlags: boolean): fc.Arbitrary<Command> {
  const lock = { do: fc.constant("lock" as const), slot, mode, lvb, listen: flag };
  const convert = { do: fc.constant("convert" as const), slot, mode, lvb: newLvb, listen: newListen };
  const tries = fc.constant(true);
  return fc.oneof(
    { weight: 24, arbitrary: fc.record({ ...lock, flags: withFlags ? lockFlags : none }) },
    { weight: 6, arbitrary: fc.record({ ...lock, try: tries, flags: tryFlags }) },
    { weight: 36, arbitrary: fc.record({ ...convert, flags: withFlags ? convertFlags : none }) },
    { weight: 6, arbitrary: fc.record({ ...convert, try: tries, flags: tryFlags }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("abort" as const), slot }) },
    {
      weight: 20,
      arbitrary: fc.record({
        do: fc.constant("release" as const),
        slot,
        lvb: fc.option(fc.oneof({ weight: 4, arbitrary: bytes }, fc.constant("invalidate" as const)), {
          nil: undefined,
          freq: 2,
        }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), handle }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), handle }) },
  );
}

/** One command, whether it makes sense in its turn or not. */
export const command: fc.Arbitrary<Command> = commands(true);

/** One whose effect on others does not depend on more than the order of grants. */
export const plainCommand: fc.Arbitrary<Command> = commands(false);
