/** Whether a sequence still fails. */
export type Fails<T> = (sequence: readonly T[]) => Promise<boolean>;

/**
 * The shortest sequence that is found to fail, by leaving out ever smaller stretches, and then what single elements can
 * do without. fast-check's own shrinking takes elements from the front one by one, which for some hundred commands on a
 * real kernel takes hours. `enough` ends the search.
 */
export async function reduce<T extends object>(
  sequence: readonly T[],
  fails: Fails<T>,
  enough: () => boolean,
): Promise<readonly T[]> {
  let best = sequence;
  for (let size = Math.ceil(best.length / 2); size >= 1 && !enough(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
    // from the end: what comes after the failure goes first
    for (let at = best.length - size; at > -size && !enough(); at -= size) {
      const shorter = best.filter((_, index) => index < at || index >= at + size);
      if (shorter.length < best.length && (await fails(shorter))) best = shorter;
    }
  }
  return simplify(best, fails, enough);
}

async function simplify<T extends object>(
  sequence: readonly T[],
  fails: Fails<T>,
  enough: () => boolean,
): Promise<readonly T[]> {
  let best = sequence;
  for (let at = 0; at < best.length; at++) {
    for (const key of OPTIONAL) {
      const one = best[at];
      if (enough() || !one || (one as Record<string, unknown>)[key] === undefined) continue;
      const simpler = best.with(at, { ...one, [key]: undefined });
      if (await fails(simpler)) best = simpler;
    }
  }
  return best;
}

// Fields of a command that mean nothing when they are not there.
const OPTIONAL = ["lvb", "listen", "flags", "try"];
