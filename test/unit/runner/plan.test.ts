import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const root = path.resolve(__dirname, "../../..");

interface Entry {
  readonly specs: string[];
  readonly limit: number;
}

interface Plan {
  readonly SUITES: Record<string, Entry>;
  readonly LONG: Record<string, Entry>;
  readonly lanesOf: (suite: Entry) => Entry[];
  readonly parsePlan: (args: string[], env: NodeJS.ProcessEnv) => unknown;
}

// a plain program's module: it has no types of its own
const load = async (): Promise<Plan> =>
  (await import(pathToFileURL(path.join(root, "scripts/runner/plan.mjs")).href)) as Plan;

const covers = (entries: Record<string, Entry>, file: string): boolean =>
  Object.values(entries)
    .flatMap(({ specs }) => specs)
    .some((spec) => {
      const pattern = spec
        .replaceAll(".", "\\.")
        .replaceAll("**/", "(.*/)?")
        .replaceAll(/(?<!\.)\*/g, "[^/]*");
      return new RegExp(`^${pattern}$`).test(file);
    });

describe("the test runner's plan", () => {
  const files = readdirSync(path.join(root, "test"), { recursive: true })
    .map((file) => `test/${String(file)}`)
    .filter((file) => file.endsWith(".test.ts"));

  it("runs every test file", async () => {
    const { SUITES, lanesOf } = await load();
    const { kernel, bounds, ...others } = SUITES;
    const suites = [...Object.values(others), ...lanesOf(kernel!), ...lanesOf(bounds!)].map((suite) => ({ suite }));
    for (const file of files) assert.equal(suites.filter((suite) => covers(suite, file)).length, 1, file);
  });

  it("has an area of the long runs for every test in the lab", async () => {
    const { LONG } = await load();
    const kernel = files.filter((file) => file.startsWith("test/kernel/"));
    assert.deepEqual(
      kernel.filter((file) => !covers(LONG, file)),
      [],
    );
    assert.ok(kernel.length > 0);
  });

  it("reads what is asked for", async () => {
    const { parsePlan } = await load();
    const long = (args: string, env: NodeJS.ProcessEnv = {}) => parsePlan(["long", ...args.split(" ")], env);
    assert.deepEqual(parsePlan([], {}), { what: "all" });
    assert.deepEqual(parsePlan(["unit"], {}), { what: "unit" });
    assert.deepEqual(long("dlm"), { what: "long", area: "dlm", kernels: ["6.1", "6.12"], rounds: 5 });
    assert.deepEqual(long("lifecycle"), { what: "long", area: "lifecycle", kernels: [undefined], rounds: 5 });
    assert.deepEqual(long("lab --kernel 6.12 --kernel=host", { CLUSTERLOCK_ROUNDS: "2" }), {
      what: "long",
      area: "lab",
      kernels: ["6.12", undefined],
      rounds: 2,
    });
    // the caller's own kernel
    assert.deepEqual(long("lab", { CLUSTERLOCK_TEST_KERNEL: "/k" }), {
      what: "long",
      area: "lab",
      kernels: [undefined],
      rounds: 5,
    });
  });

  for (const args of [
    "bogus",
    "toString",
    "unit test/unit/dlm",
    "long",
    "long toString",
    "long __proto__",
    "long dlm lab",
    "long dlm --rounds 3",
    "long dlm --kernel",
    "long dlm --kernel=",
    "long dlm --kernel 6.1;ls",
    "long lifecycle --kernel 6.1",
  ]) {
    it(`refuses "${args}" with 64 and one line that says why`, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/test.mjs", ...args.split(" ")], {
        cwd: root,
        encoding: "utf8",
      });
      assert.deepEqual([status, stdout], [64, ""]);
      assert.match(stderr, /^clusterlock: .*\nusage: npm test\n/);
    });
  }

  it("refuses a number of rounds that is none", async () => {
    const { parsePlan } = await load();
    for (const rounds of ["0", "-1", "two", "", "1.5"]) {
      assert.throws(() => parsePlan(["long", "dlm"], { CLUSTERLOCK_ROUNDS: rounds }), /CLUSTERLOCK_ROUNDS/);
    }
  });
});
