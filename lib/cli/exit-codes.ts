// Exit statuses that scripts rely on: sysexits where there is one, else the habits of timeout(1).

export const OK = 0;
export const USAGE = 64;
export const INTERNAL = 70;
export const LAB_FAILED = 125;
