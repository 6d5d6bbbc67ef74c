// What a probe says is held against what the node is, against what the kernel does when a domain is joined, and against
// its own advice: each command that is to mend something is run, and mends it.

import assert from "node:assert/strict";
import path from "node:path";
import { text } from "node:stream/consumers";

import type { DlmfsProbe, ProbeFinding, ProbeFindingCode, ProbeOptions } from "../../lib/dlmfs/probe";
import type { Cluster } from "../../lib/lab";

import { openCluster } from "./support/cluster";
import { describeLong } from "../rounds";

const PROGRAM = path.resolve(__dirname, "programs/dlmfs-probe.cjs");
const LIMIT = 120_000;

/** One node of a cluster. */
class Node {
  readonly #cluster: Cluster;
  readonly #number: number;

  constructor(cluster: Cluster, number = 1) {
    this.#cluster = cluster;
    this.#number = number;
  }

  async #run(argv: readonly string[]): Promise<{ code: number | null; printed: string; complaint: string }> {
    const child = this.#cluster.exec(this.#number, argv);
    child.stdin.end();
    const [printed, complaint, { code }] = await Promise.all([text(child.stdout), text(child.stderr), child.exit]);
    return { code, printed, complaint };
  }

  async sh(script: string): Promise<string> {
    const { code, printed, complaint } = await this.#run(["sh", "-c", script]);
    assert.equal(code, 0, `${script}: ${complaint}`);
    return printed.trim();
  }

  /** Joins a domain and leaves it again; what mkdir says when that fails. */
  async join(mount = "/dlm"): Promise<string | undefined> {
    const { code, complaint } = await this.#run(["sh", "-c", `mkdir ${mount}/probed && rmdir ${mount}/probed`]);
    return code === 0 ? undefined : complaint.trim();
  }

  async probe(options: ProbeOptions = {}, as: readonly string[] = []): Promise<DlmfsProbe> {
    const { printed, complaint } = await this.#run([...as, process.execPath, PROGRAM, JSON.stringify(options)]);
    assert.equal(complaint, "");
    return JSON.parse(printed) as DlmfsProbe;
  }

  async finds(codes: readonly ProbeFindingCode[], options?: ProbeOptions): Promise<ProbeFinding[]> {
    const { problems, warnings, usable } = await this.probe(options);
    const found = [...problems, ...warnings];
    assert.deepEqual(
      found.map(({ code }) => code),
      codes,
      JSON.stringify(found),
    );
    assert.equal(usable, problems.length === 0);
    return found;
  }

  /** Does what the findings say, in their order. */
  async mend(findings: readonly ProbeFinding[]): Promise<void> {
    for (const { code, fix } of findings) {
      assert.ok(fix !== undefined, code);
      await this.sh(fix);
    }
  }
}

const CLUSTER = "/sys/kernel/config/cluster/lab";
const NAME = "/sys/kernel/config/dlm/cluster/cluster_name";

describe("a probe on o2cb", function () {
  this.timeout(LIMIT);
  let cluster: Cluster;
  let node: Node;

  before(async () => {
    cluster = await openCluster({ stack: "o2cb", nodes: 1 });
    node = new Node(cluster);
  });
  after(async () => cluster.down());
  afterEach(async () => {
    await node.finds([]);
    assert.equal(await node.join(), undefined);
  });

  it("says what is so", async () => {
    const found = await node.probe();
    const { capabilities, stack, o2cb } = found;
    assert.deepEqual([found.usable, found.module, found.mount, found.unread], [true, "loaded", "/dlm", []]);
    assert.equal(found.kernel, await node.sh("uname -r"));
    const [device, root] = (await node.sh("findmnt -n -o MAJ:MIN,FSROOT /dlm")).split(/ +/);
    assert.deepEqual(found.mounts, [{ path: "/dlm", device, root, visible: true }]);
    assert.equal(await node.sh("stat -f -c %t /dlm"), "76a9f425");
    assert.deepEqual(capabilities, { text: "bast stackglue", bast: true, stackglue: true });
    assert.deepEqual(stack, {
      clusterStack: "o2cb",
      plugin: "o2cb",
      pluginModule: "loaded",
      loadedPlugins: ["o2cb"],
      maxLockingProtocol: await node.sh("cat /sys/fs/ocfs2/max_locking_protocol"),
    });
    const region = await node.sh(`basename ${CLUSTER}/heartbeat/*/`);
    const [beats] = o2cb?.regions ?? [];
    assert.deepEqual(
      { ...o2cb, regions: [{ ...beats, sinceLastBeatMs: 0 }] },
      {
        cluster: "lab",
        nodes: [{ name: "node1", number: 0, address: "10.0.0.1", port: 7777, local: true, live: true }],
        mode: "local",
        deadThreshold: Number(await node.sh(`cat ${CLUSTER}/heartbeat/dead_threshold`)),
        fenceMethod: "reset",
        regions: [
          {
            name: region,
            device: (await node.sh("losetup -n -O NAME -j /run/clusterlock-heartbeat")).replace("/dev/", ""),
            thread: Number(await node.sh("pgrep -f '^.o2hb-'")),
            liveNodes: [0],
            sinceLastBeatMs: 0,
          },
        ],
        heartbeating: true,
      },
    );
    const beat = beats?.sinceLastBeatMs ?? -1;
    assert.ok(beat >= 0 && beat < 12_000, `the last beat was ${beat} ms ago`);
    const [seconds, panic] = (await node.sh("sysctl -n kernel.hung_task_timeout_secs kernel.hung_task_panic")).split(
      "\n",
    );
    assert.deepEqual(found.hungTask, { timeoutSeconds: Number(seconds), panic: panic === "1" });
  });

  it("names the plugin while a domain is in use", async () => {
    await node.sh("mkdir /dlm/used");
    assert.equal((await node.probe()).stack?.activePlugin, "o2cb");
    await node.sh("rmdir /dlm/used");
    assert.equal((await node.probe()).stack?.activePlugin, undefined);
  });

  it("tells two mounts apart, and sees through bind mounts and covers", async () => {
    await node.sh(
      "mkdir -p '/mnt/a b' /mnt/bound && mount -t ocfs2_dlmfs none '/mnt/a b' && mount --bind /dlm /mnt/bound",
    );
    const { mounts, warnings } = await node.probe({ mount: "/mnt/a b" });
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      mounts.map(({ path, visible }) => [path, visible]),
      [
        ["/dlm", true],
        ["/mnt/a b", true],
        ["/mnt/bound", true],
      ],
    );
    const [first, second, bound] = mounts.map(({ device }) => device);
    assert.notEqual(first, second);
    assert.equal(first, bound);
    await node.sh("umount '/mnt/a b' /mnt/bound");

    await node.sh("mount -t tmpfs none /dlm");
    await node.mend(await node.finds(["mount-covered"], { mount: "/dlm" }));
  });

  it("does not look into a mount, not even when asked to", async () => {
    await node.sh("mkdir /dlm/d");
    const [inside] = await node.finds(["inside-mount"], { mount: "/dlm/d" });
    assert.equal(inside?.fix, '{ mount: "/dlm" }');
    await node.sh("rmdir /dlm/d");
  });

  it("brings the module and the mount back", async () => {
    await node.sh("umount /dlm");
    await node.mend(await node.finds(["not-mounted"]));
    await node.sh("umount /dlm && rmmod ocfs2_dlmfs");
    const found = await node.probe();
    assert.deepEqual([found.module, found.capabilities, found.mounts], ["available", undefined, []]);
    await node.mend(await node.finds(["module-not-loaded", "not-mounted"]));
    await node.sh("umount /dlm && mkdir -p /mnt/there && mount -t ocfs2_dlmfs none /mnt/there");
    const [other] = await node.finds(["other-mount"]);
    assert.equal(other?.fix, '{ mount: "/mnt/there" }');
    await node.finds([], { mount: "/mnt/there" });
    await node.sh("umount /mnt/there");
    await node.mend(await node.finds(["not-mounted"]));
  });

  it("sees a stack that is set for another cluster", async () => {
    await node.sh("echo pcmk > /sys/fs/ocfs2/cluster_stack");
    const found = await node.finds(["wrong-stack"]);
    assert.notEqual(await node.join(), undefined);
    await node.mend(found);
  });

  it("warns where waiting for a lock panics the node", async () => {
    await node.sh("sysctl -w kernel.hung_task_panic=1");
    await node.mend(await node.finds(["hung-task-panic"]));
  });

  it("says what it cannot see, without debugfs and as a user like any other", async () => {
    await node.sh("umount /sys/kernel/debug");
    const { o2cb } = await node.probe();
    assert.deepEqual([o2cb?.heartbeating, o2cb?.nodes[0]?.live], [true, undefined]);
    await node.mend(await node.finds(["debugfs-not-mounted"]));
    const found = await node.probe({}, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    assert.equal(found.usable, true);
    assert.equal(found.mounts[0]?.visible, true);
    assert.deepEqual(
      found.unread.map(({ code }) => code).filter((code) => code !== "EACCES"),
      [],
    );
    assert.ok(found.unread.some((one) => one.path === "/sys/kernel/debug/o2hb/livenodes"));
  });

  it("sees a node without a heartbeat, and one that is not named", async () => {
    const region = await node.sh(`echo ${CLUSTER}/heartbeat/*/`);
    const device = await node.sh("losetup -n -O NAME -j /run/clusterlock-heartbeat");
    await node.sh(`rmdir ${region}`);
    const [heartbeat] = await node.finds(["o2cb-no-heartbeat"]);
    assert.equal(heartbeat?.fix, "ocfs2_hb_ctl -S -d DEVICE o2cb");
    assert.match((await node.join()) ?? "", /Invalid argument/);

    await node.sh(`echo 0 > ${CLUSTER}/node/node1/local`);
    const named = await node.finds(["o2cb-no-local-node"]);
    assert.match((await node.join()) ?? "", /Invalid argument/);
    await node.mend(named);

    await node.finds(["o2cb-no-heartbeat"]);
    // as scripts/guest/stack-o2cb.sh does: the device holds no file system, which ocfs2_hb_ctl asks for
    await node.sh(`mkdir ${region}; cd ${region}; echo 512 > block_bytes; echo 1 > start_block; echo 1 > blocks
      exec 7<>${device}; echo 7 > dev || echo 7 > dev || echo 7 > dev`);
  });

  it("sees that there is no cluster", async () => {
    const region = await node.sh(`echo ${CLUSTER}/heartbeat/*/`);
    const device = await node.sh("losetup -n -O NAME -j /run/clusterlock-heartbeat");
    await node.sh(`rmdir ${region} && rmdir ${CLUSTER}/node/node1 && rmdir ${CLUSTER}`);
    const [none] = await node.finds(["o2cb-no-cluster"]);
    // the lab leaves ocfs2-tools a configuration
    assert.equal(none?.fix, "o2cb register-cluster lab");
    assert.match((await node.join()) ?? "", /Invalid argument/);
    await node.sh(`mkdir ${CLUSTER} ${CLUSTER}/node/node1; cd ${CLUSTER}/node/node1
      echo 7777 > ipv4_port; echo 10.0.0.1 > ipv4_address; echo 0 > num; echo 1 > local
      mkdir ${region}; cd ${region}; echo 512 > block_bytes; echo 1 > start_block; echo 1 > blocks
      exec 7<>${device}; echo 7 > dev || echo 7 > dev || echo 7 > dev`);
  });
});

describeLong("a probe on fs/dlm", function () {
  this.timeout(LIMIT);
  const allowed = { allowClusterNameWorkaround: true };
  const blank = `printf '\\0' > ${NAME}`;
  let cluster: Cluster;
  let nodes: Node[];
  let first: Node;

  before(async () => {
    cluster = await openCluster({ stack: "dlmfs-dlm" });
    nodes = cluster.nodes.map((number) => new Node(cluster, number));
    first = nodes[0]!;
  });
  after(async () => cluster.down());
  afterEach(async () => {
    for (const node of nodes) await node.finds([], allowed);
    assert.equal(await first.sh(`cat ${NAME}`), "lab");
  });

  it("says what is so, on each node", async () => {
    for (const [n, node] of nodes.entries()) {
      const { stack, fsdlm, o2cb } = await node.probe();
      assert.deepEqual([stack?.clusterStack, stack?.plugin, stack?.pluginModule], ["pcmk", "user", "loaded"]);
      assert.equal(o2cb, undefined);
      assert.deepEqual(fsdlm, {
        controld: true,
        clusterName: "lab",
        recoverCallbacks: true,
        nodes: [
          { id: 1, local: n === 0 },
          { id: 2, local: n === 1 },
        ],
        nameMismatch: true,
        nameInUse: false,
      });
    }
  });

  it("foretells EBADR, and that a blank name is none", async () => {
    const [name] = await first.finds(["fsdlm-cluster-name"]);
    assert.equal(name?.fix, "{ allowClusterNameWorkaround: true }");
    assert.match((await first.join()) ?? "", /Invalid request descriptor/);
    await first.sh(blank);
    await first.finds([]);
    assert.equal(await first.join(), undefined);
    await first.sh(`printf lab > ${NAME}`);
  });

  it("finds a name that was left blank, unless somebody is at it", async () => {
    const file = "/run/lock/clusterlock/dlm-cluster-name";
    await first.sh(`mkdir -p ${path.dirname(file)}; printf lab > ${file}; ${blank}`);
    const left = await first.finds(["fsdlm-name-left-blank"]);
    const busy = `flock ${file} ${process.execPath} ${PROGRAM}`;
    const { fsdlm, warnings } = JSON.parse(await first.sh(busy)) as DlmfsProbe;
    assert.deepEqual([fsdlm?.nameInUse, fsdlm?.nameLeftBlank, warnings], [true, undefined, []]);
    await first.mend(left);
    await first.sh(`rm ${file}`);
  });

  it("warns of a second mount, through which a domain is not joined a second time", async () => {
    await first.sh("mkdir -p /dlm2; mount -t ocfs2_dlmfs none /dlm2");
    await first.finds(["fsdlm-several-mounts"], allowed);
    await first.sh(`${blank}; mkdir /dlm/twice; mkdir /dlm2/twice 2>&1 | grep 'File exists'; printf lab > ${NAME}`);
    await first.sh("rmdir /dlm/twice; umount /dlm2");
  });

  it("sees a stack that is set for another cluster", async () => {
    await first.sh("echo o2cb > /sys/fs/ocfs2/cluster_stack");
    const found = await first.finds(["wrong-stack"], allowed);
    assert.match((await first.join()) ?? "", /Invalid argument/);
    await first.mend(found);
  });

  it("sees that the kernel would ask for a controller of OCFS2's own", async () => {
    await first.sh("echo 0 > /sys/kernel/config/dlm/cluster/recover_callbacks");
    await first.mend(await first.finds(["fsdlm-recover-callbacks"], allowed));
  });

  it("misses dlm_controld", async () => {
    await first.sh("kill $(pidof dlm_controld); while pidof dlm_controld; do sleep 0.1; done");
    const [controld] = await first.finds(["fsdlm-no-controld"], allowed);
    assert.equal(controld?.fix, "systemctl start corosync dlm");
    assert.match((await first.join()) ?? "", /endpoint is not connected/);
    // no systemd here
    await first.sh(`dlm_controld; until test -e /sys/kernel/config/dlm/cluster/comms/2/local; do sleep 0.1; done`);
  });
});

describe("a probe where there is no cluster", function () {
  this.timeout(LIMIT);

  it("says all that it takes, of which the first half is done at once", async () => {
    await using cluster = await openCluster({ stack: "none", nodes: 1 });
    const node = new Node(cluster);
    const found = await node.finds(["module-not-loaded", "not-mounted", "o2cb-no-cluster"]);
    assert.equal((await node.probe()).module, "available");
    await node.mend(found.slice(0, 2));
    const [last] = await node.finds(["o2cb-no-cluster"]);
    assert.match(last?.fix ?? "", /^o2cb add-cluster NAME/);
    assert.match((await node.join()) ?? "", /Invalid argument/);
  });
});
