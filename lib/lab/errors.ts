/** The lab itself failed (a prerequisite is missing, a node did not boot, ...): not the program that runs in it. */
export class LabError extends Error {
  override readonly name = "LabError";
  readonly code = "ERR_LAB";
}

/** The caller asked for something that does not exist or does not fit together. */
export class LabOptionError extends TypeError {
  override readonly name = "LabOptionError";
  readonly code = "ERR_LAB_OPTION";
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
