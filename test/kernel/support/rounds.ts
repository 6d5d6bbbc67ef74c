/** How often a test repeats itself: more in `npm run test:long`, fewer where everything is run. */
export function rounds(long: number, short: number): number {
  return process.env["CLUSTERLOCK_LONG"] === undefined ? short : long;
}
