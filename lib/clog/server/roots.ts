/** @internal Where the start-up checks look; tests put another directory in place. */
export const ROOTS: { proc: string } = { proc: "/proc" };
