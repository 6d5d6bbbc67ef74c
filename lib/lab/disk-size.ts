// How large a shared disk may be.

import { LabOptionError } from "./errors";

export const MAX_DISKS = 8;

const KIB = 1024;
const UNITS: Readonly<Record<string, number>> = { "": 1, K: KIB, M: KIB ** 2, G: KIB ** 3, T: KIB ** 4 };
const MIN = KIB ** 2;
const MAX = KIB ** 4;
/** Sectors of 4096 bytes are what a guest may want to have. */
const MULTIPLE = 4096;

/** Bytes of "64M", "1G", "2048K" or "1048576". */
export function parseSize(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,15})([KMGT]?)$/i.exec(text) ?? [];
  const size = Number(digits) * (UNITS[unit.toUpperCase()] ?? 1);
  if (digits === undefined) throw new LabOptionError(`disk: "${text}" is not a size such as 64M or 1G`);
  if (size < MIN || size > MAX) throw new LabOptionError(`disk: ${text} is not in 1M..1T`);
  if (size % MULTIPLE !== 0) throw new LabOptionError(`disk: ${text} is not a multiple of ${MULTIPLE} bytes`);
  return size;
}
