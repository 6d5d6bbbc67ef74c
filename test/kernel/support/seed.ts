/** Where a test's dice start: $CLUSTERLOCK_SEED, or a new one; a failure names it. */
export function seed(): number {
  return Number(process.env["CLUSTERLOCK_SEED"] ?? Date.now() % 1_000_000);
}
