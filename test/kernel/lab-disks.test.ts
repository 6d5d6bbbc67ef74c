// The lab's shared disks on real kernels: what nodes see of each other's writes, and what a power cut loses.

import assert from "node:assert/strict";
import { text } from "node:stream/consumers";

import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";

describe("lab: shared disks", function () {
  this.timeout(180_000);
  let cluster: Cluster;

  async function sh(node: number, script: string): Promise<string> {
    const child = cluster.exec(node, ["sh", "-c", `set -e; ${script}`]);
    child.stdin.end();
    const [printed, complaint, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    assert.equal(code, 0, complaint);
    return printed;
  }

  /** Writes a block of one letter by O_DIRECT, as `flags` of dd(1) have it. */
  async function write(node: number, block: number, letter: string, ...flags: string[]): Promise<void> {
    const fill = `head -c 4096 /dev/zero | tr '\\0' ${letter} >/tmp/block`;
    const oflag = ["direct", ...flags.filter((flag) => flag !== "fsync")].join(",");
    const conv = ["notrunc", ...flags.filter((flag) => flag === "fsync")].join(",");
    await sh(
      node,
      `${fill}; dd if=/tmp/block of=/dev/vda bs=4096 seek=${block} oflag=${oflag} conv=${conv} status=none`,
    );
  }

  /** The first letters of blocks; a "-" is a zero. */
  async function read(node: number, blocks: number): Promise<string> {
    const each = `dd if=/dev/vda bs=4096 skip=$i count=1 iflag=direct status=none | head -c 1 | tr '\\0' -`;
    return sh(node, `i=0; while [ $i -lt ${blocks} ]; do ${each}; i=$((i + 1)); done`);
  }

  before(async () => {
    cluster = await openCluster({ nodes: 2, stack: "none", disks: ["8M", "32M"] });
  });
  after(async () => cluster.down());
  beforeEach(async () => {
    for (const { node, state } of (await cluster.status()).nodes) if (state === "off") await cluster.start(node);
    await sh(2, "dd if=/dev/zero of=/dev/vda bs=1M count=1 oflag=direct conv=notrunc,fsync status=none");
  });

  it("have the sizes and the order that were asked for, and a write cache", async () => {
    for (const node of [1, 2]) {
      assert.equal(await sh(node, "blockdev --getsize64 /dev/vda /dev/vdb"), `${8 * 2 ** 20}\n${32 * 2 ** 20}\n`);
      assert.equal(await sh(node, "cat /sys/block/vda/queue/write_cache"), "write back\n");
    }
  });

  it("show a node at once what another has written", async () => {
    await write(1, 0, "a");
    await write(2, 1, "b");
    assert.equal(await read(2, 3), "ab-");
    assert.equal(await read(1, 3), "ab-");
  });

  it("keep all when a node dies and the disks keep their power", async () => {
    await write(1, 0, "a");
    await cluster.kill(1);
    assert.equal(await read(2, 2), "a-");
  });

  it("lose what was not flushed when their power is lost too, and nothing that was", async () => {
    await write(1, 0, "a", "fsync");
    await write(1, 1, "b", "dsync");
    await write(1, 2, "c");
    await write(2, 3, "d");
    assert.equal(await read(2, 5), "abcd-");
    await cluster.kill(1, { lose: "all" });
    assert.equal(await read(2, 5), "ab-d-");
  });

  it("lose some sectors of what was not flushed, the same for the same seed", async () => {
    const seen: string[] = [];
    for (let round = 0; round < 2; round++) {
      const fill = (letter: string): string => `head -c 49152 /dev/zero | tr '\\0' ${letter} >/tmp/blocks`;
      const dd = "dd if=/tmp/blocks of=/dev/vda bs=4096 oflag=direct status=none";
      await sh(2, `${fill("o")}; ${dd} conv=notrunc,fsync`);
      await sh(1, `${fill("n")}; ${dd} conv=notrunc`);
      await cluster.kill(1, { lose: "some", seed: 3 });
      seen.push(await sh(2, "dd if=/dev/vda bs=4096 count=12 iflag=direct status=none | tr -s no"));
      if (round === 0) await cluster.start(1);
    }
    assert.equal(seen[0], seen[1]);
    assert.match(seen[0]!, /n/);
    assert.match(seen[0]!, /o/);
  });

  it("carry a file system over a power cut: what was synced is there", async () => {
    await sh(1, "mkfs.ext4 -q /dev/vdb; mkdir -p /mnt/d; mount /dev/vdb /mnt/d; echo kept >/mnt/d/synced; sync");
    await sh(1, "echo lost >/mnt/d/unsynced");
    await cluster.kill(1, { lose: "all" });
    assert.equal(
      await sh(
        2,
        "mkdir -p /mnt/d; mount /dev/vdb /mnt/d; cat /mnt/d/synced; test ! -s /mnt/d/unsynced; umount /mnt/d",
      ),
      "kept\n",
    );
  });

  it("say what they are asked for in vain", async () => {
    await assert.rejects(cluster.kill(1, { lose: "most" as "all" }), /lose/);
    await assert.rejects(cluster.kill(3), /there is no node 3/);
  });
});
