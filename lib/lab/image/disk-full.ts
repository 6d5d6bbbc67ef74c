// A full disk shows itself in many ways, and every one of them must be called by its name.

import { CommandError } from "./command";

const CODES: readonly unknown[] = ["ENOSPC", "EDQUOT"];
const WORDS = /No space left on device|Disk quota exceeded|don't have enough free space/;

export function isDiskFull(error: unknown): boolean {
  if (error instanceof CommandError) return WORDS.test(error.stderr);
  return error instanceof Error && "code" in error && CODES.includes(error.code);
}
