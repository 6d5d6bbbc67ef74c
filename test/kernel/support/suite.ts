import assert from "node:assert/strict";

import { type Cluster, type Stack, up } from "../../../lib/lab";

import { Shell, command } from "./shell";

// Complaints that no program causes by what it asks for; docs/kernel-notes.md has each with its proof.
const KNOWN = [/WARNING: .* at fs\/dlm\/requestqueue\.c:\d+ dlm_add_requestqueue/];

/** What a kernel suite works with: one cluster for all its tests, a fresh shell on every node for each. */
export class Suite {
  cluster!: Cluster;
  #shells = new Map<number, Shell>();

  /** The shell on node `n` of this test. */
  shell(n: number): Shell {
    const shell = this.#shells.get(n);
    if (!shell) throw new Error(`there is no node ${n}`);
    return shell;
  }

  run(node: number, ...argv: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return command(this.cluster, node, argv);
  }

  /** Registers the hooks of a `describe` block; `cleanUp` runs after each test, while its shells still live. */
  static on(nodes: number, stack: Stack, cleanUp?: (suite: Suite) => Promise<void>): Suite {
    const suite = new Suite();
    before(async function () {
      this.timeout(600_000);
      // a lone node gets both cores, so that threads of one process really meet
      suite.cluster = await up({ nodes, stack, cpus: nodes === 1 ? 2 : 1 });
    });
    after(async function () {
      this.timeout(60_000);
      // Across all tests of the suite the kernel found nothing to complain about.
      const complaints = await suite.#kernelComplaints();
      await suite.cluster.down();
      assert.deepEqual(complaints, []);
    });
    beforeEach(() => {
      for (const node of suite.cluster.nodes) suite.#shells.set(node, new Shell(suite.cluster, node));
    });
    afterEach(async () => {
      await cleanUp?.(suite);
      const complaints = [...suite.#shells.values()].flatMap((shell) => shell.complaints);
      await Promise.all([...suite.#shells.values()].map((shell) => shell.end()));
      suite.#shells.clear();
      assert.deepEqual(complaints, []);
    });
    return suite;
  }

  async #kernelComplaints(): Promise<string[]> {
    const logs = await Promise.all(this.cluster.nodes.map((node) => this.run(node, "dmesg")));
    return logs
      .flatMap(({ stdout }) => stdout.split("\n"))
      .filter((line) => /WARNING:|BUG:|Oops|dlm:.*(error|Unknown command)/.test(line))
      .filter((line) => !KNOWN.some((known) => known.test(line)));
  }
}
