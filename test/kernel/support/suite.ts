import assert from "node:assert/strict";

import type { Cluster, Stack } from "../../../lib/lab";

import { endShared, shareCluster } from "./cluster";
import { kernelComplaints } from "./kernel-log";
import { Shell, command } from "./shell";

// of all suites: the last one's cluster
after(async function () {
  this.timeout(60_000);
  await endShared();
});

/** What a kernel suite works with: one cluster for all its tests, a fresh shell on every node for each. */
export class Suite {
  cluster!: Cluster;
  #shells = new Map<number, Shell>();
  #others: Shell[] = [];

  /** The shell on node `n` of this test. */
  shell(n: number): Shell {
    const shell = this.#shells.get(n);
    if (!shell) throw new Error(`there is no node ${n}`);
    return shell;
  }

  /** One more on that node, which ends with the test like the others. */
  another(n: number): Shell {
    const shell = new Shell(this.cluster, n);
    this.#others.push(shell);
    return shell;
  }

  run(node: number, ...argv: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return command(this.cluster, node, argv);
  }

  /** Registers the hooks of a `describe` block; `cleanUp` runs after each test, while its shells still live. */
  static on(nodes: number, stack: Stack, cleanUp?: (suite: Suite) => Promise<void>): Suite {
    const suite = new Suite();
    let booted = false;
    before(async function () {
      this.timeout(600_000);
      // a lone node gets both cores, so that threads of one process really meet
      suite.cluster = await shareCluster({ nodes, stack, cpus: nodes === 1 ? 2 : 1 });
      booted = true;
    });
    after(async function () {
      this.timeout(60_000);
      if (!booted) return;
      // Across all tests of the suite the kernel found nothing to complain about.
      const complaints = await Promise.all(suite.cluster.nodes.map((node) => kernelComplaints(suite.cluster, node)));
      assert.deepEqual(complaints.flat(), []);
    });
    beforeEach(() => {
      for (const node of suite.cluster.nodes) suite.#shells.set(node, new Shell(suite.cluster, node));
    });
    afterEach(async () => {
      const shells = [...suite.#shells.values(), ...suite.#others];
      try {
        await cleanUp?.(suite);
      } finally {
        suite.#shells.clear();
        suite.#others = [];
        await Promise.all(shells.map((shell) => shell.end()));
      }
      assert.deepEqual(
        shells.flatMap((shell) => shell.complaints),
        [],
      );
    });
    return suite;
  }

  /**
   * The same on one node with the stack dlm, where `node.ls` is a lockspace of each test's own: it is to be empty when it
   * is closed, and is removed.
   */
  static withLockspace(lockspace: string): Suite {
    const suite = Suite.on(1, "dlm", (on) =>
      on.shell(1).call(async (node, name) => {
        await node.ls.close();
        const left = node.kernelLocks(name);
        if (left.length > 0) throw new Error(`locks are left: ${left.join("; ")}`);
        await node.Lockspace.remove(name);
      }, lockspace),
    );
    beforeEach(() =>
      suite.shell(1).call(async (node, name) => {
        node.ls = await node.Lockspace.open(name, { create: true });
      }, lockspace),
    );
    return suite;
  }
}
