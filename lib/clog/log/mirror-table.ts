// The parameters of a `mirror` target whose log is in userspace.

/** One leg. */
export interface MirrorLeg {
  /** As the table has it: the kernel writes "MAJOR:MINOR". */
  readonly device: string;
  /** Sectors. */
  readonly offset: number;
}

/** A `mirror` target's parameters (dm-raid1.c: mirror_ctr, mirror_status; dm-log-userspace-base.c: userspace_status). */
export interface MirrorTarget {
  /** The log's. */
  readonly uuid: string;
  readonly integratedFlush: boolean;
  /** The log's type, and its words. */
  readonly logWords: readonly string[];
  readonly legs: readonly MirrorLeg[];
  /** `handle_errors`, `keep_log`. */
  readonly features: readonly string[];
}

// a count, and as many words from there on
function counted(words: readonly string[], at: number, each = 1): readonly string[] | undefined {
  const word = words[at];
  if (word === undefined || !/^\d{1,9}$/.test(word)) return undefined;
  const taken = words.slice(at + 1, at + 1 + Number(word) * each);
  return taken.length === Number(word) * each ? taken : undefined;
}

/**
 * "userspace N UUID [integrated_flush] TYPE ARGS... #LEGS {DEVICE OFFSET}... [#FEATURES FEATURES...]". Undefined: another
 * log, or no such line.
 */
export function parseMirrorTarget(params: string): MirrorTarget | undefined {
  const words = params.split(" ").filter((word) => word !== "");
  if (words[0] !== "userspace") return undefined;
  const log = counted(words, 1);
  if (log === undefined) return undefined;
  const legsAt = 2 + log.length;
  const legWords = counted(words, legsAt, 2);
  const [uuid, ...rest] = log;
  if (legWords === undefined || legWords.length === 0 || uuid === undefined) return undefined;
  const integratedFlush = rest[0]?.toLowerCase() === "integrated_flush";
  const logWords = integratedFlush ? rest.slice(1) : rest;
  if (logWords.length === 0) return undefined;
  const legs: MirrorLeg[] = [];
  for (let i = 0; i < legWords.length; i += 2) {
    const [device, offset] = [legWords[i], Number(legWords[i + 1])];
    if (device === undefined || !Number.isSafeInteger(offset) || offset < 0) return undefined;
    legs.push({ device, offset });
  }
  const features = counted(words, legsAt + 1 + legWords.length) ?? [];
  return { uuid, integratedFlush, logWords, legs, features };
}
