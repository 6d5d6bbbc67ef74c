import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** As much of /sys as a watch looks at, in a directory of its own. */
export class FakeSysfs {
  readonly root: string = fs.mkdtempSync(path.join(os.tmpdir(), "clusterlock-watch-"));

  constructor() {
    fs.mkdirSync(this.#at("class/misc/dlm-control"), { recursive: true });
  }

  add(lockspace: string): this {
    fs.mkdirSync(this.#at(`kernel/dlm/${lockspace}`), { recursive: true });
    this.setRunning(lockspace, true);
    this.register(lockspace);
    return this;
  }

  setRunning(lockspace: string, on: boolean): void {
    fs.writeFileSync(this.#at(`kernel/dlm/${lockspace}/recover_status`), on ? "ff\n" : "1\n");
  }

  register(lockspace: string): void {
    fs.mkdirSync(this.#at(`class/misc/dlm_${lockspace}`), { recursive: true });
    fs.writeFileSync(this.#at(`class/misc/dlm_${lockspace}/dev`), "10:120\n");
  }

  /** What the kernel does first when a lockspace is removed. */
  deregister(lockspace: string): void {
    fs.rmSync(this.#at(`class/misc/dlm_${lockspace}`), { recursive: true });
  }

  /** Another device by the same name. */
  reregister(lockspace: string): void {
    fs.renameSync(this.#at(`class/misc/dlm_${lockspace}`), this.#at("class/misc/old"));
    this.register(lockspace);
  }

  /** As in a container that shows no devices of this kind. */
  hideDevices(): void {
    fs.rmSync(this.#at("class"), { recursive: true });
  }

  setMembers(lockspace: string, nodes: readonly number[]): void {
    const place = this.#at(`kernel/config/dlm/cluster/spaces/${lockspace}/nodes`);
    fs.rmSync(place, { recursive: true, force: true });
    for (const node of nodes) {
      fs.mkdirSync(path.join(place, String(node)), { recursive: true });
      fs.writeFileSync(path.join(place, String(node), "nodeid"), `${node}\n`);
    }
  }

  remove(): void {
    fs.rmSync(this.root, { recursive: true });
  }

  #at(place: string): string {
    return path.join(this.root, place);
  }
}
