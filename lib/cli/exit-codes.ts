// Exit statuses that scripts rely on: sysexits where there is one, else the habits of timeout(1).

export const OK = 0;
export const USAGE = 64;
export const UNAVAILABLE = 69;
export const INTERNAL = 70;
export const OS_ERROR = 71;
export const IO_ERROR = 74;
export const NO_PERMISSION = 77;
export const LAB_FAILED = 125;

/** What a shell reports of a program that a signal ended, or whose reader went away. */
export const EXIT_BY_SIGNAL = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
export const EXIT_BROKEN_PIPE = 141;
