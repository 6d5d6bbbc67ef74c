// The kernel's own word: /sys/kernel/debug/dlm/LOCKSPACE_all, fs/dlm/debug_fs.c, print_format3().

export interface DumpedLock {
  readonly id: number;
  readonly granted: number;
  readonly requested: number;
}

export interface DumpedResource {
  readonly name: string;
  readonly invalid: boolean;
  /** Undefined while none was written. */
  readonly value: string | undefined;
  readonly granted: readonly DumpedLock[];
  readonly converting: readonly DumpedLock[];
  readonly waiting: readonly DumpedLock[];
}

const VALNOTVALID = 1 << 1;

interface Draft {
  name: string;
  invalid: boolean;
  value: string | undefined;
  granted: DumpedLock[];
  converting: DumpedLock[];
  waiting: DumpedLock[];
}

function readResource(words: readonly string[]): Draft {
  const [, , , , flags = "0", , , , , kind = ""] = words;
  if (!kind.startsWith("str")) throw new Error(`not a printable name: ${words.join(" ")}`);
  const invalid = (parseInt(flags, 16) & VALNOTVALID) !== 0;
  return { name: words[10] ?? "", invalid, value: undefined, granted: [], converting: [], waiting: [] };
}

/** Resources that the kernel has in use, by name; each queue in its order. */
export function parseDump(text: string): Map<string, DumpedResource> {
  const resources = new Map<string, Draft>();
  let current: Draft | undefined;
  for (const line of text.split("\n")) {
    const words = line.split(" ");
    // newer kernels begin with the names of the columns
    if (words[0] === "rsb" && words[1] !== "ptr") {
      current = readResource(words);
      resources.set(current.name, current);
    } else if (words[0] === "lvb" && current) {
      current.value = words.slice(3).join("");
    } else if (words[0] === "lkb" && current) {
      const [, id = "", , , , , , , status, granted, requested] = words;
      const queues = [undefined, current.waiting, current.granted, current.converting];
      queues[Number(status)]?.push({ id: parseInt(id, 16), granted: Number(granted), requested: Number(requested) });
    }
  }
  return resources;
}
