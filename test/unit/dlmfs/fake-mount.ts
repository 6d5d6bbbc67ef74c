import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { Domain, type DomainLock } from "../../../lib/dlmfs";
import { type NativeAddon, native, useAddon } from "../../../lib/native";

import { type FakeFile, FakeOpener } from "./fake-opener";

export const tick = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** A directory that passes for a mount, and a fake of the opener, anew for each test of a `describe` block. */
export class FakeMount {
  opener!: FakeOpener;
  addon!: NativeAddon;
  mount!: string;

  static forEach(): FakeMount {
    const fake = new FakeMount();
    const { statfs } = fs;
    let real: NativeAddon;
    before(() => {
      real = native();
    });
    beforeEach(() => {
      fake.opener = new FakeOpener();
      fake.addon = fake.opener.addon;
      useAddon(fake.addon);
      fake.mount = mkdtempSync(path.join(os.tmpdir(), "clusterlock-dlmfs-"));
      fs.statfs = (async () => Promise.resolve({ type: 0x76a9f425 })) as unknown as typeof statfs;
    });
    afterEach(() => {
      fs.statfs = statfs;
      useAddon(real);
      rmSync(fake.mount, { recursive: true });
    });
    return fake;
  }

  open(options: object = {}): Promise<Domain> {
    return Domain.open("d", { mount: this.mount, create: true, ...options });
  }

  /** Waits until so many requests for the name are with the opener. */
  async asked(name: string, count = 1): Promise<ReturnType<FakeOpener["waiting"]>> {
    for (let i = 0; i < 200; i++) {
      const found = this.opener.waiting(name);
      if (found.length >= count) return found;
      await tick();
    }
    return assert.fail(`${count} requests for ${name} were expected, there are ${this.opener.waiting(name).length}`);
  }

  /** A lock that is asked for and granted. */
  async take(domain: Domain, name: string, options: object = {}): Promise<{ lock: DomainLock; file: FakeFile }> {
    const promise = domain.lock(name, options);
    const [request] = await this.asked(name);
    const file = this.opener.grant(request!);
    return { lock: await promise, file };
  }
}
