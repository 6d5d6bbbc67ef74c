const long = process.env["CLUSTERLOCK_LONG"] !== undefined;

/** How often a test repeats itself: more in `npm run test:long`, fewer where everything is run. */
export function rounds(many: number, few: number): number {
  return long ? many : few;
}

/** Suites that `npm run test:long` runs alone: another suite covers the most of each where everything is run. */
export function describeLong(title: string, suite: (this: Mocha.Suite) => void): void {
  if (long) describe(title, suite);
}

/** Tests of the same kind. */
export function itLong(title: string, test: (this: Mocha.Context) => Promise<void>): void {
  if (long) it(title, test);
}
