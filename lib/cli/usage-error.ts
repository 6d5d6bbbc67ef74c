/** The command line is wrong: the message names what, in one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
