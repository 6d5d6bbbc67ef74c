// What there is to run, and what a command line asks for.

const MINUTE = 60_000;

export const SUITES = {
  unit: { specs: ["test/unit/**/*.test.ts"], limit: 10 * MINUTE },
  native: { specs: ["test/native/**/*.test.ts"], limit: 10 * MINUTE },
  lifecycle: { specs: ["test/lifecycle/**/*.test.ts"], limit: 10 * MINUTE },
  // Three at a time: a lab waits more than it works. What an area has is in one lane, so that its suites share clusters.
  kernel: { lanes: { files: ["dlmfs", "drivers"], lab: ["dlm", "lab"], log: ["clog"] }, limit: 70 * MINUTE },
  // nothing beside it: it holds kernel and library to bounds of time
  bounds: { lanes: { bounds: ["fencing", "bounds"] }, limit: 20 * MINUTE },
};

// Every file of test/kernel belongs to an area. `kernels`: run by default on each of these versions of Debian's. `needs`:
// groups of packages.
export const KERNELS = ["6.1", "6.12"];
export const LONG = {
  dlm: {
    specs: [
      "test/kernel/one-node.test.ts",
      "test/kernel/two-nodes.test.ts",
      "test/kernel/handoff.test.ts",
      "test/kernel/controld-death.test.ts",
      "test/kernel/dlm-*.test.ts",
      "test/kernel/inspect.test.ts",
      "test/kernel/node-death.test.ts",
      "test/kernel/interop/*.test.ts",
    ],
    limit: 60 * MINUTE,
    kernels: KERNELS,
    needs: ["lab", "interop"],
  },
  dlmfs: {
    specs: ["test/kernel/dlmfs-*.test.ts", "test/kernel/dlmfs-interop/*.test.ts"],
    limit: 60 * MINUTE,
    kernels: KERNELS,
    needs: ["lab", "interop"],
  },
  clog: {
    specs: ["test/kernel/clog-*.test.ts"],
    limit: 90 * MINUTE,
    kernels: KERNELS,
    needs: ["lab"],
  },
  lab: {
    specs: ["test/kernel/lab*.test.ts", "test/kernel/stacks.test.ts"],
    limit: 60 * MINUTE,
    kernels: KERNELS,
    needs: ["lab"],
  },
  fencing: {
    specs: ["test/kernel/fencing.test.ts"],
    limit: 60 * MINUTE,
    kernels: KERNELS,
    needs: ["lab"],
  },
  bounds: {
    specs: ["test/kernel/bounds.test.ts"],
    limit: 60 * MINUTE,
    kernels: KERNELS,
    needs: ["lab"],
  },
  drivers: {
    specs: ["test/kernel/ssh-driver.test.ts", "test/kernel/vagrant.test.ts"],
    limit: 60 * MINUTE,
    kernels: [],
    needs: ["lab", "drivers"],
  },
  lifecycle: {
    specs: ["test/native/**/*.test.ts", "test/lifecycle/**/*.test.ts"],
    limit: 60 * MINUTE,
    kernels: [],
    needs: [],
  },
};

/** The lanes of a suite, with their specs. */
export function lanesOf({ lanes }) {
  return Object.entries(lanes).map(([name, areas]) => ({ name, specs: areas.flatMap((area) => LONG[area].specs) }));
}

// Not fetched: what the lab boots by itself.
export const HOST_KERNEL = "host";

export const USAGE = `usage: npm test
       npm run test:unit
       npm run test:kernel
       npm run test:long -- ${Object.keys(LONG).join("|")} [--kernel VERSION|${HOST_KERNEL}]...
`;

/** The command line, or the environment, asks for what there is not. */
export class UsageError extends Error {}

/**
 * @returns {{ what: "all" | "unit" | "kernel" } | { what: "long", area: string, kernels: (string | undefined)[],
 *   rounds: number }} a kernel that is undefined is the lab's choice, or $CLUSTERLOCK_TEST_KERNEL's
 */
export function parsePlan(args, env) {
  const [what = "all", ...rest] = args;
  if (what === "long") return parseLong(rest, env);
  if (!["all", "unit", "kernel"].includes(what)) throw new UsageError(`there is no "${what}"`);
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is one argument too many`);
  return { what };
}

function parseLong([area, ...rest], env) {
  if (area === undefined) throw new UsageError("an area is missing");
  if (!Object.hasOwn(LONG, area)) throw new UsageError(`there is no area "${area}"`);
  const asked = [];
  for (let i = 0; i < rest.length; i++) {
    const [option, value = rest[++i]] = rest[i].split("=");
    if (option !== "--kernel") throw new UsageError(`"${option}" is one argument too many`);
    if (!new RegExp(`^(\\d+(\\.\\d+)+|${HOST_KERNEL})$`).test(value ?? "")) {
      throw new UsageError(`--kernel wants a version such as ${KERNELS[0]}, or ${HOST_KERNEL}`);
    }
    asked.push(value);
  }
  const { kernels } = LONG[area];
  if (asked.length > 0 && kernels.length === 0) throw new UsageError(`${area} runs in no lab: --kernel has no meaning`);
  const text = env.CLUSTERLOCK_ROUNDS ?? "5";
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`CLUSTERLOCK_ROUNDS is "${text}", and no number above 0`);
  return { what: "long", area, kernels: choose(asked, kernels, env), rounds: Number(text) };
}

function choose(asked, usual, env) {
  if (asked.length > 0) return asked.map((kernel) => (kernel === HOST_KERNEL ? undefined : kernel));
  if (usual.length === 0 || env.CLUSTERLOCK_TEST_KERNEL) return [undefined];
  return usual;
}
