import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { DLMFS_MAGIC } from "../../../lib/dlmfs/probe/mounts";
import { ROOTS } from "../../../lib/dlmfs/probe/roots";

const MODULES = ["ocfs2_dlmfs", "ocfs2_stack_o2cb", "ocfs2_stack_user"];
const real = { ...ROOTS };

/** A node as a probe sees it, made of plain files; those that its parts write are as kernel 6.1 prints them. */
export class FakeNode {
  readonly root: string = mkdtempSync("/tmp/clt-probe-");
  /** Type by path: what statfs(2) gives. */
  readonly types: Map<string, number> = new Map<string, number>();
  /** What statfs(2) was asked for. */
  readonly asked: string[] = [];
  #mounts: string[] = [];

  constructor() {
    const under = (name: string): string => path.join(this.root, name);
    Object.assign(ROOTS, {
      proc: under("proc"),
      sysfs: under("sys"),
      configfs: under("config"),
      debugfs: under("debug"),
      modules: under("modules"),
      release: "6.1.0-fake",
      clusterConf: under("cluster.conf"),
      statfsType: (at: string): Promise<number> => {
        this.asked.push(at);
        const type = this.types.get(at);
        if (type !== undefined) return Promise.resolve(type);
        return Promise.reject(Object.assign(new Error("no such thing"), { code: "ENOENT" }));
      },
    });
    this.modules(...MODULES);
    this.mounted("proc", "/proc", "0:22");
    this.mounted("configfs", ROOTS.configfs, "0:23");
    this.mounted("debugfs", ROOTS.debugfs, "0:24");
    this.put("proc/sys/kernel/hung_task_timeout_secs", "120\n");
    this.put("proc/sys/kernel/hung_task_panic", "0\n");
    this.put("proc/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n");
    this.put("proc/locks", "");
  }

  end(): void {
    Object.assign(ROOTS, real);
    rmSync(this.root, { recursive: true, force: true });
  }

  put(file: string, text: string): void {
    mkdirSync(path.dirname(path.join(this.root, file)), { recursive: true });
    writeFileSync(path.join(this.root, file), text);
  }

  remove(file: string): void {
    rmSync(path.join(this.root, file), { recursive: true });
  }

  /** What modprobe would find. */
  modules(...names: string[]): void {
    const lines = names.map((name) => `kernel/fs/ocfs2/${name}.ko: kernel/fs/ocfs2/cluster/ocfs2_nodemanager.ko`);
    this.put("modules/6.1.0-fake/modules.dep", `${["kernel/fs/ext4/ext4.ko:", ...lines].join("\n")}\n`);
  }

  mounted(type: string, at: string, device: string, root = "/"): void {
    const escaped = at.replaceAll(" ", "\\040");
    this.#mounts.push(
      `${this.#mounts.length + 20} 1 ${device} ${root} ${escaped} rw,relatime shared:9 - ${type} none rw`,
    );
    this.#writeMounts();
    this.types.set(at, type === "ocfs2_dlmfs" ? DLMFS_MAGIC : 0x9fa0);
  }

  unmounted(at: string): void {
    this.#mounts = this.#mounts.filter((line) => line.split(" ")[4] !== at);
    this.#writeMounts();
    this.types.delete(at);
  }

  #writeMounts(): void {
    this.put("proc/self/mountinfo", `${this.#mounts.join("\n")}\n`);
  }

  /** The module, its stack glue set to a stack, and a mount at /dlm. */
  dlmfs(stack = "o2cb"): this {
    const plugin = stack === "o2cb" ? "o2cb" : "user";
    this.put("sys/module/ocfs2_dlmfs/parameters/capabilities", "bast stackglue");
    this.put(`sys/module/ocfs2_stack_${plugin}/refcnt`, "0\n");
    this.put("sys/fs/ocfs2/cluster_stack", `${stack}\n`);
    this.put("sys/fs/ocfs2/active_cluster_plugin", "");
    this.put("sys/fs/ocfs2/loaded_cluster_plugins", `${plugin}\n`);
    this.put("sys/fs/ocfs2/max_locking_protocol", "1.0\n");
    this.mounted("ocfs2_dlmfs", "/dlm", "0:45");
    return this;
  }

  /** Two nodes, this one the first, with a heartbeat and a connection. */
  o2cb(): this {
    for (const n of [0, 1]) {
      const at = `config/cluster/lab/node/node${n + 1}`;
      this.put(`${at}/num`, `${n}\n`);
      this.put(`${at}/ipv4_address`, `10.0.0.${n + 1}\n`);
      this.put(`${at}/ipv4_port`, "7777\n");
      this.put(`${at}/local`, n === 0 ? "1\n" : "0\n");
    }
    this.put("config/cluster/lab/fence_method", "reset\n");
    this.put("config/cluster/lab/heartbeat/mode", "local\n");
    this.put("config/cluster/lab/heartbeat/dead_threshold", "31\n");
    this.put("config/cluster/lab/heartbeat/C105/dev", "vdb\n");
    this.put("config/cluster/lab/heartbeat/C105/pid", "417\n");
    this.put("debug/o2hb/livenodes", "0 1 \n");
    this.put("debug/o2hb/C105/livenodes", "0 1 \n");
    this.put("debug/o2hb/C105/elapsed_time_in_ms", "812\n");
    this.put("debug/o2net/connected_nodes", "1 \n");
    return this;
  }

  /** dlm_controld with two nodes, this one the second. */
  fsdlm(): this {
    for (const n of [1, 2]) {
      this.put(`config/dlm/cluster/comms/${n}/nodeid`, `${n}\n`);
      this.put(`config/dlm/cluster/comms/${n}/local`, n === 2 ? "1\n" : "0\n");
    }
    this.put("config/dlm/cluster/cluster_name", "lab\n");
    this.put("config/dlm/cluster/recover_callbacks", "1\n");
    this.put("proc/net/unix", "0000000000000000: 00000002 00000000 00010000 0001 01 20123 @dlmc_query_sock@@@@\n");
    return this;
  }
}
