import assert from "node:assert/strict";
import { statSync } from "node:fs";
import path from "node:path";

import { type DlmfsProbe, type ProbeFindingCode, type ProbeOptions, probe } from "../../../lib/dlmfs/probe";
import { ROOTS } from "../../../lib/dlmfs/probe/roots";

import { FakeNode } from "./fake-node";
import { typeError, valueError } from "./support";

describe("a probe of ocfs2_dlmfs", () => {
  let node: FakeNode;
  beforeEach(() => {
    node = new FakeNode();
  });
  afterEach(() => {
    node.end();
  });

  const codes = ({ problems, warnings }: DlmfsProbe): ProbeFindingCode[][] =>
    [problems, warnings].map((list) => list.map(({ code }) => code));

  // The one problem that there is, or the one warning, and what mends it.
  async function finds(code: ProbeFindingCode, fix: string | undefined, options?: ProbeOptions): Promise<string> {
    const found = await probe(options);
    const all = [...found.problems, ...found.warnings];
    assert.deepEqual(
      all.map((one) => [one.code, one.fix]),
      [[code, fix]],
    );
    assert.equal(found.usable, found.problems.length === 0);
    return all[0]!.message;
  }
  async function findsNothing(options?: ProbeOptions): Promise<DlmfsProbe> {
    const found = await probe(options);
    assert.deepEqual([...found.problems, ...found.warnings], []);
    assert.equal(found.usable, true);
    return found;
  }

  describe("tells as data, which survives JSON,", () => {
    it("what a node of o2cb has", async () => {
      node.dlmfs().o2cb();
      const found = await findsNothing();
      assert.deepEqual(JSON.parse(JSON.stringify(found)), {
        usable: true,
        problems: [],
        warnings: [],
        mount: "/dlm",
        mounts: [{ path: "/dlm", device: "0:45", root: "/", visible: true }],
        kernel: "6.1.0-fake",
        module: "loaded",
        capabilities: { text: "bast stackglue", bast: true, stackglue: true },
        stack: {
          clusterStack: "o2cb",
          plugin: "o2cb",
          pluginModule: "loaded",
          loadedPlugins: ["o2cb"],
          maxLockingProtocol: "1.0",
        },
        o2cb: {
          cluster: "lab",
          nodes: [
            { name: "node1", number: 0, address: "10.0.0.1", port: 7777, local: true, live: true },
            { name: "node2", number: 1, address: "10.0.0.2", port: 7777, local: false, live: true, connected: true },
          ],
          mode: "local",
          deadThreshold: 31,
          fenceMethod: "reset",
          regions: [{ name: "C105", device: "vdb", thread: 417, liveNodes: [0, 1], sinceLastBeatMs: 812 }],
          heartbeating: true,
        },
        hungTask: { timeoutSeconds: 120, panic: false },
        unread: [],
      });
    });

    it("what a node of fs/dlm has", async () => {
      node.dlmfs("pcmk").fsdlm();
      const found = await findsNothing({ allowClusterNameWorkaround: true });
      assert.deepEqual([found.stack?.plugin, found.o2cb], ["user", undefined]);
      assert.deepEqual(found.fsdlm, {
        controld: true,
        clusterName: "lab",
        recoverCallbacks: true,
        nodes: [
          { id: 1, local: false },
          { id: 2, local: true },
        ],
        nameMismatch: true,
        nameInUse: false,
        nameLeftBlank: undefined,
      });
    });

    it("that a node has nothing, and all that it takes, in order", async () => {
      const found = await probe();
      assert.deepEqual(codes(found), [["module-not-loaded", "not-mounted", "o2cb-no-cluster"], []]);
      assert.deepEqual(
        found.problems.map(({ fix }) => fix),
        [
          "modprobe ocfs2_dlmfs",
          "mkdir -p /dlm && mount -t ocfs2_dlmfs ocfs2_dlmfs /dlm",
          "o2cb add-cluster NAME && o2cb add-node NAME $(hostname -s) --ip ADDRESS && o2cb register-cluster NAME",
        ],
      );
      const { usable, module, mounts, capabilities, stack, o2cb, fsdlm } = found;
      assert.deepEqual([usable, module, mounts], [false, "available", []]);
      assert.deepEqual([capabilities, stack, o2cb, fsdlm], [undefined, undefined, undefined, undefined]);
    });
  });

  describe("of the module", () => {
    it("says when this kernel comes without it, packed or not", async () => {
      node.modules();
      const { problems, module } = await probe();
      assert.equal(module, "missing");
      assert.deepEqual(problems[0]?.code, "module-missing");
      assert.match(problems[0].message, /kernel 6\.1\.0-fake comes without ocfs2_dlmfs; cloud kernels do/);
      node.put("modules/6.1.0-fake/modules.dep", "kernel/fs/ocfs2/dlmfs/ocfs2_dlmfs.ko.xz: a.ko\n");
      assert.equal((await probe()).module, "available");
      node.remove("modules");
      assert.equal((await probe()).module, "unknown");
    });

    it("says when the plugin of the stack is missing", async () => {
      node.dlmfs("pcmk").fsdlm();
      node.remove("sys/module/ocfs2_stack_user");
      node.modules("ocfs2_dlmfs", "ocfs2_stack_o2cb");
      const message = await finds("plugin-missing", "apt-get install linux-image-amd64", {
        allowClusterNameWorkaround: true,
      });
      assert.match(message, /without ocfs2_stack_user, which the stack 'pcmk' needs/);
    });

    it("warns of what it cannot do", async () => {
      node.dlmfs().o2cb();
      node.put("sys/module/ocfs2_dlmfs/parameters/capabilities", "stackglue");
      await finds("no-bast", undefined);
      node.put("sys/module/ocfs2_dlmfs/parameters/capabilities", "bast");
      await finds("no-stackglue", undefined);
    });
  });

  describe("of mounts", () => {
    beforeEach(() => {
      node.dlmfs().o2cb();
    });

    it("tells owners apart by their device, and finds a name with a blank", async () => {
      node.mounted("ocfs2_dlmfs", "/my locks", "0:46");
      node.mounted("ocfs2_dlmfs", "/bound", "0:45", "/part");
      const { mounts, mount } = await findsNothing();
      assert.equal(mount, "/dlm");
      assert.deepEqual(mounts, [
        { path: "/dlm", device: "0:45", root: "/", visible: true },
        { path: "/my locks", device: "0:46", root: "/", visible: true },
        { path: "/bound", device: "0:45", root: "/part", visible: true },
      ]);
      assert.equal((await findsNothing({ mount: "/my locks/" })).mount, "/my locks");
    });

    it("takes the one that is asked for, else the one at /dlm, else the first", async () => {
      await finds("not-mounted", "mkdir -p /a/b && mount -t ocfs2_dlmfs ocfs2_dlmfs /a/b", { mount: "/a/b" });
      await finds("not-mounted", "mkdir -p '/it'\\''s' && mount -t ocfs2_dlmfs ocfs2_dlmfs '/it'\\''s'", {
        mount: "/it's",
      });
      node.unmounted("/dlm");
      node.mounted("ocfs2_dlmfs", "/mnt/one", "0:46");
      node.mounted("ocfs2_dlmfs", "/mnt/two", "0:47");
      await finds("other-mount", '{ mount: "/mnt/one" }');
      await findsNothing({ mount: "/mnt/two" });
      node.mounted("ocfs2_dlmfs", "/dlm", "0:48");
      assert.equal((await findsNothing()).mount, "/dlm");
    });

    it("never looks into one", async () => {
      await finds("inside-mount", '{ mount: "/dlm" }', { mount: "/dlm/domain" });
      assert.deepEqual(node.asked, ["/dlm"]);
    });

    it("sees what covers one", async () => {
      node.mounted("tmpfs", "/dlm", "0:50");
      assert.match(await finds("mount-covered", "umount /dlm", { mount: "/dlm" }), /over the ocfs2_dlmfs at \/dlm/);
      const { mounts } = await probe();
      assert.deepEqual(
        mounts.map(({ visible }) => visible),
        [false],
      );
    });

    it("takes the kernel's list for an answer where statfs gives none, as it does to whoever may not go there", async () => {
      ROOTS.statfsType = () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }));
      const { mounts } = await findsNothing();
      assert.equal(mounts[0]?.visible, undefined);
    });
  });

  describe("of o2cb", () => {
    beforeEach(() => {
      node.dlmfs().o2cb();
    });

    it("says that there is no cluster, and which one is configured", async () => {
      node.remove("config/cluster");
      node.put("cluster.conf", "node:\n\tname = node1\n\tcluster = web\n\ncluster:\n\tnode_count = 1\n\tname = web\n");
      await finds("o2cb-no-cluster", "o2cb register-cluster web");
    });

    it("says that no node is this one", async () => {
      node.put("config/cluster/lab/node/node1/local", "0\n");
      const fix = `echo 1 > ${ROOTS.configfs}/cluster/lab/node/$(hostname -s)/local`;
      assert.match(await finds("o2cb-no-local-node", fix), /cluster lab \(node1, node2\)/);
    });

    it("says that there is no heartbeat of this node, and how it is started in either mode", async () => {
      node.put("debug/o2hb/livenodes", "1 \n");
      await finds("o2cb-no-heartbeat", "ocfs2_hb_ctl -S -d DEVICE o2cb");
      node.put("config/cluster/lab/heartbeat/mode", "global\n");
      await finds("o2cb-no-heartbeat", "o2cb start-heartbeat lab");
    });

    it("says which nodes have a heartbeat and no connection", async () => {
      node.put("debug/o2net/connected_nodes", "\n");
      const message = await finds("o2cb-not-connected", undefined);
      assert.match(message, /heartbeat of node2 \(10\.0\.0\.2, TCP port 7777\), and no connection/);
      node.put("debug/o2hb/livenodes", "0 \n");
      const { o2cb } = await findsNothing();
      assert.deepEqual([o2cb?.nodes[1]?.live, o2cb?.nodes[1]?.connected], [false, false]);
    });

    it("goes by what was started where debugfs cannot be read", async () => {
      node.remove("debug");
      assert.equal((await findsNothing()).o2cb?.nodes[0]?.live, undefined);
      node.put("config/cluster/lab/heartbeat/C105/pid", "");
      node.put("config/cluster/lab/heartbeat/C105/dev", "");
      const [region] = (await probe()).o2cb?.regions ?? [];
      assert.deepEqual([region?.device, region?.thread], [undefined, 0]);
      await finds("o2cb-no-heartbeat", "ocfs2_hb_ctl -S -d DEVICE o2cb");
    });

    it("says what is not mounted of the kernel's file systems", async () => {
      node.unmounted(ROOTS.debugfs);
      await finds("debugfs-not-mounted", `mount -t debugfs none ${ROOTS.debugfs}`);
      node.unmounted(ROOTS.configfs);
      await finds("configfs-not-mounted", `mount -t configfs none ${ROOTS.configfs}`);
    });
  });

  describe("of fs/dlm", () => {
    const allowed = { allowClusterNameWorkaround: true };
    beforeEach(() => {
      node.dlmfs("pcmk").fsdlm();
    });

    it("says that its cluster has a name, which dlmfs does not ask for", async () => {
      const message = await finds("fsdlm-cluster-name", "{ allowClusterNameWorkaround: true }");
      assert.match(message, /EBADR.*has set 'lab'/);
      node.put("config/dlm/cluster/cluster_name", "\n");
      assert.equal((await findsNothing()).fsdlm?.nameMismatch, false);
    });

    it("says that dlm_controld is not there, or has not begun", async () => {
      node.put("config/dlm/cluster/comms/2/local", "0\n");
      await finds("fsdlm-no-local-node", undefined);
      node.put("proc/net/unix", "0000: 00000002 00000000 00010000 0001 01 20123 @dlmc_query_socket_of_another\n");
      await finds("fsdlm-no-controld", "systemctl start corosync dlm");
      node.remove("config/dlm");
      await finds("fsdlm-no-controld", "systemctl start corosync dlm");
    });

    it("says that the kernel would ask a controller that hardly anybody has", async () => {
      node.put("config/dlm/cluster/recover_callbacks", "0\n");
      await finds("fsdlm-recover-callbacks", `echo 1 > ${ROOTS.configfs}/dlm/cluster/recover_callbacks`);
    });

    it("warns of a name that was left blank, but not of one that somebody is about to put back", async () => {
      const runDirectory = path.join(node.root, "run");
      node.put("run/dlm-cluster-name", "lab 2");
      assert.equal((await probe({ ...allowed, runDirectory })).fsdlm?.nameLeftBlank, undefined);
      node.put("config/dlm/cluster/cluster_name", "\n");
      const fix = `printf %s 'lab 2' > ${ROOTS.configfs}/dlm/cluster/cluster_name`;
      assert.match(await finds("fsdlm-name-left-blank", fix, { runDirectory }), /name, lab 2, was blanked/);

      const { dev, ino } = statSync(path.join(runDirectory, "dlm-cluster-name"));
      const hex = (n: number): string => n.toString(16).padStart(2, "0");
      const file = `${hex((dev >> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >> 12) & 0xfff00))}:${ino}`;
      node.put("proc/locks", `1: POSIX  ADVISORY  WRITE 7 ${file} 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 00:01:2 0 EOF\n`);
      await finds("fsdlm-name-left-blank", fix, { runDirectory });
      node.put("proc/locks", `1: FLOCK  ADVISORY  WRITE 4711 ${file} 0 EOF\n`);
      const { fsdlm } = await findsNothing({ runDirectory });
      assert.deepEqual([fsdlm?.nameInUse, fsdlm?.nameLeftBlank], [true, undefined]);
    });

    it("warns of a second mount, of which a bind mount is none", async () => {
      node.mounted("ocfs2_dlmfs", "/bound", "0:45");
      await findsNothing(allowed);
      node.mounted("ocfs2_dlmfs", "/dlm2", "0:46");
      assert.match(await finds("fsdlm-several-mounts", undefined, allowed), /EEXIST/);
    });
  });

  describe("of the cluster stack", () => {
    const set = (name: string): string => `echo ${name} > ${ROOTS.sysfs}/fs/ocfs2/cluster_stack`;

    it("says that it is set for the one that does not run", async () => {
      node.dlmfs("o2cb").fsdlm();
      assert.match(
        await finds("wrong-stack", set("pcmk"), { allowClusterNameWorkaround: true }),
        /set to 'o2cb'.*fs\/dlm/,
      );
      node.remove("config/dlm");
      node.o2cb().put("sys/fs/ocfs2/cluster_stack", "pcmk\n");
      const message = await finds("wrong-stack", set("o2cb"));
      assert.doesNotMatch(message, /once no domain/);
      node.put("sys/fs/ocfs2/active_cluster_plugin", "user\n");
      assert.match(await finds("wrong-stack", set("o2cb")), /can be set once no domain/);
    });

    it("lets it be where both run, or none", async () => {
      node.dlmfs("o2cb").o2cb().fsdlm();
      await findsNothing();
      node.put("sys/fs/ocfs2/cluster_stack", "pcmk\n");
      await findsNothing({ allowClusterNameWorkaround: true });
      node.remove("config");
      await finds("fsdlm-no-controld", "systemctl start corosync dlm");
    });
  });

  it("warns of a kernel that panics over a task that waits for long, which waiting for a lock is", async () => {
    node.dlmfs().o2cb().put("proc/sys/kernel/hung_task_panic", "1\n");
    assert.match(await finds("hung-task-panic", "sysctl -w kernel.hung_task_panic=0"), /more than 120 s panics/);
    node.put("proc/sys/kernel/hung_task_timeout_secs", "0\n");
    assert.deepEqual((await findsNothing()).hungTask, { timeoutSeconds: 0, panic: true });
    node.remove("proc/sys/kernel/hung_task_timeout_secs");
    assert.equal((await findsNothing()).hungTask, undefined);
  });

  it("notes what is there and cannot be read", async () => {
    node.dlmfs().o2cb();
    node.remove("debug/o2net/connected_nodes");
    node.put("debug/o2net/connected_nodes/is a directory", "");
    const { unread, o2cb } = await findsNothing();
    assert.deepEqual(unread, [{ path: `${ROOTS.debugfs}/o2net/connected_nodes`, code: "EISDIR" }]);
    assert.equal(o2cb?.nodes[1]?.connected, undefined);
  });

  it("refuses what cannot be", async () => {
    await assert.rejects(probe({ mount: "dlm" }), valueError(/"options.mount".*'dlm'.*absolute/));
    await assert.rejects(probe({ mount: 5 as never }), typeError(/"options.mount".*string/));
    await assert.rejects(probe({ runDirectory: "/run\0" }), valueError(/"options.runDirectory"/));
    await assert.rejects(probe({ allowClusterNameWorkaround: 1 as never }), typeError(/allowClusterNameWorkaround/));
  });
});

describe("a probe of this very machine", () => {
  it("ends, and answers in full, whatever it is", async () => {
    const found = await probe();
    assert.equal(found.usable, found.problems.length === 0);
    assert.ok(found.kernel.length > 0);
    for (const { message, code } of [...found.problems, ...found.warnings]) assert.ok(message.length > 0, code);
  });
});
