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

/** Options of a request that are the kernel's flags. A new one is added here, in Request, and in real.ts. */
export type Command =
  | {
      readonly do: "lock";
      readonly slot: number;
      readonly mode: ModeName;
      readonly try?: boolean | undefined;
      readonly lvb?: LvbChoice | undefined;
      readonly listen?: boolean | undefined;
    }
  | {
      readonly do: "convert";
      readonly slot: number;
      readonly mode: ModeName;
      readonly lvb?: LvbChoice | undefined;
      /** Undefined: go on as before. */
      readonly listen?: boolean | undefined;
    }
  | { readonly do: "abort"; readonly slot: number }
  | { readonly do: "release"; readonly slot: number; readonly lvb?: number | undefined }
  /** Handle.close(): in good order. */
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

/** One command, whether it makes sense in its turn or not. */
export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 24, arbitrary: fc.record({ do: fc.constant("lock" as const), slot, mode, lvb, listen: flag }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("lock" as const), slot, mode, lvb, listen: flag, try: fc.constant(true) }),
  },
  {
    weight: 40,
    arbitrary: fc.record({
      do: fc.constant("convert" as const),
      slot,
      mode,
      lvb: newLvb,
      listen: fc.constantFrom(undefined, undefined, true, false),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("abort" as const), slot }) },
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant("release" as const),
      slot,
      lvb: fc.option(bytes, { nil: undefined, freq: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), handle }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), handle }) },
);
