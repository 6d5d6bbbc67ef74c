import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { LabOptionError } from "../../../lib/lab";
import { quote, sshCommand } from "../../../lib/lab/ssh/command-line";
import { NetworkFaults } from "../../../lib/lab/ssh/faults";
import type { Greeting } from "../../../lib/lab/ssh/greeting";
import { afterGreeting, formatGreeting } from "../../../lib/lab/ssh/greeting";
import { managementPath } from "../../../lib/lab/ssh/guard";

const HOST = { ssh: "root@a", options: ["-p", "2222"], address: "10.0.0.1", interface: "eth1", sudo: false };

describe("lab: the ssh driver's command lines", () => {
  it("reach the program as they are, through the login's shell", () => {
    const words = ["", "a b", "it's", '"$HOME"', "`id`", "*", "\\", "line\nline", "ü", "-n", "~", "#", ";", "&&"];
    const line = `printf '%s\\0' ${words.map(quote).join(" ")}`;
    for (const shell of ["sh", "bash"]) {
      assert.deepEqual(execFileSync(shell, ["-c", line], { encoding: "utf8" }).split("\0").slice(0, -1), words);
    }
  });

  it("do not let a destination pass for an option, and become root where they must", () => {
    const own = sshCommand(HOST, ["true"]);
    assert.deepEqual(own.slice(-3), ["--", "root@a", "exec true"]);
    assert.ok(own.join(" ").includes("-p 2222"));
    assert.equal(sshCommand({ ...HOST, sudo: true }, ["a b"]).at(-1), "exec sudo -n -- 'a b'");
  });
});

describe("lab: the ssh driver's greeting", () => {
  const greeting: Greeting = { bootId: "b", connection: "10.9.9.9 5000 10.9.9.1 22" };

  async function read(chunks: readonly string[]): Promise<{ seen: Greeting | undefined; rest: string }> {
    let seen: Greeting | undefined;
    let rest = "";
    // eslint-disable-next-line @typescript-eslint/require-await
    async function* from(): AsyncGenerator<Buffer> {
      for (const chunk of chunks) yield Buffer.from(chunk);
    }
    for await (const chunk of afterGreeting(from(), (found) => (seen = found))) rest += chunk.toString();
    return { seen, rest };
  }

  it("is found after a login's chatter, however it is cut", async () => {
    const all = `Welcome!\nclusterlock-agents are fine${formatGreeting(greeting)}message 1\nmessage 2\n`;
    for (const size of [1, 7, all.length]) {
      const chunks = all.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      assert.deepEqual(await read(chunks), { seen: greeting, rest: "message 1\nmessage 2\n" });
    }
  });

  it("is not waited for without end", async () => {
    await assert.rejects(read(Array.from({ length: 300 }, () => "x".repeat(1024))), /says much/);
  });
});

describe("lab: faults of the network, as the ssh driver makes them", () => {
  const none = new NetworkFaults([1, 2, 3, 4]);

  it("cut between groups, and nodes in no group are one more", () => {
    const cut = none.partitioned([[3, 1]]);
    assert.deepEqual(cut.partition, [
      [1, 3],
      [2, 4],
    ]);
    assert.deepEqual(
      cut.of(1).map(({ peer, cut: isCut }) => [peer, isCut]),
      [
        [2, true],
        [4, true],
      ],
    );
    assert.deepEqual(cut.partitioned([[1, 2, 3, 4]]).partition, null);
    assert.deepEqual(cut.partitioned([]).of(1), []);
  });

  it("are of a link, whichever end is named first, and end one by one", () => {
    const faults = none.lossy([2, 1], 10).delayed([1, 2], 5).delayed([3, 4], 7);
    assert.deepEqual(faults.links, [
      { link: [1, 2], loss: 10, delay: 5 },
      { link: [3, 4], loss: 0, delay: 7 },
    ]);
    assert.deepEqual(faults.of(2), [{ peer: 1, cut: false, loss: 10, delay: 5 }]);
    assert.deepEqual(faults.lossy([1, 2], 0).delayed([2, 1], 0).links, [{ link: [3, 4], loss: 0, delay: 7 }]);
    assert.deepEqual(
      faults
        .partitioned([[1]])
        .healed()
        .of(1),
      [],
    );
  });

  it("name what does not fit", () => {
    const wrong: [() => unknown, RegExp][] = [
      [() => none.partitioned([[1], [5]]), /^partition: there is no node 5$/],
      [() => none.partitioned([[1], [2, 1]]), /^partition: n1 is in two groups$/],
      [() => none.lossy([1, 1], 5), /^loss: n1 has no link to itself$/],
      [() => none.lossy([1, 2], 101), /^loss: 101 is not in 0\.\.100$/],
      [() => none.delayed([1, 2], NaN), /^delay: NaN is not in /],
      [() => none.delayed([0, 2], 1), /^delay: there is no node 0$/],
    ];
    for (const [make, message] of wrong) {
      assert.throws(make, (error) => error instanceof LabOptionError && message.test(error.message));
    }
  });

  it("are refused where ssh itself goes over the cluster network", () => {
    const addresses = ["10.0.0.1", "10.0.0.2"];
    assert.equal(managementPath("192.0.2.9 4000 192.0.2.1 22", 1, addresses), undefined);
    assert.equal(managementPath("UNKNOWN 65535 UNKNOWN 65535", 1, addresses), undefined);
    assert.equal(managementPath("", 1, addresses), undefined);
    assert.match(managementPath("10.0.0.9 4000 10.0.0.1 22", 1, addresses)!, /reaches n1 at its cluster address/);
    assert.match(managementPath("10.0.0.2 4000 192.0.2.1 22", 1, addresses)!, /from n2's cluster address/);
  });
});
