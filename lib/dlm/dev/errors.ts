/**
 * The development controller cannot do what it was asked for; the message is for the person who asked. `code` is
 * - `ERR_DEV_PERMISSION`: root with CAP_SYS_ADMIN can do it;
 * - `ERR_DEV_REFUSED`: this machine is not in a state for it;
 * - `ERR_DEV_SYSTEM`: the system did not do its part.
 */
export class DevError extends Error {
  readonly code: DevErrorCode;

  constructor(code: DevErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type DevErrorCode = "ERR_DEV_PERMISSION" | "ERR_DEV_REFUSED" | "ERR_DEV_SYSTEM";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
