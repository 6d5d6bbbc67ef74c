import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { LabError, LabOptionError } from "../../../lib/lab";
import { connectSsh } from "../../../lib/lab/ssh/connect";
import { resolveInventory } from "../../../lib/lab/ssh/inventory";

const HOST = { ssh: "root@a", address: "10.0.0.1", interface: "eth1" };

describe("lab: the ssh driver's inventory", () => {
  it("has defaults", () => {
    assert.deepEqual(resolveInventory({ hosts: [HOST] }), {
      hosts: [{ ...HOST, options: [], sudo: false }],
      stack: "dlm",
      node: process.execPath,
      sync: [],
      setup: false,
    });
  });

  it("keeps what it is given", () => {
    const host = { ...HOST, options: ["-p", "2222"], sudo: true, powerOff: ["off", "1"], thaw: ["thaw"] };
    const given = { hosts: [host], stack: "none", node: "/opt/node", sync: ["/srv/app"], setup: true };
    assert.deepEqual(resolveInventory(given), given);
  });

  const wrong: [string, unknown, RegExp][] = [
    ["nothing", null, /^inventory: inventory: not an object$/],
    ["no hosts", {}, /^inventory: hosts: missing$/],
    ["an empty list", { hosts: [] }, /^inventory: hosts: 0 hosts/],
    ["an unknown key", { hosts: [HOST], stak: "dlm" }, /^inventory: stak: there is no such key/],
    ["a host's unknown key", { hosts: [{ ...HOST, poweroff: [] }] }, /^inventory: hosts\[0\]\.poweroff: there is no/],
    ["a stack", { hosts: [HOST], stack: "gfs" }, /^stack: there is no "gfs"/],
    ["no destination", { hosts: [{ ...HOST, ssh: undefined }] }, /^inventory: hosts\[0\]\.ssh: missing$/],
    ["an option for one", { hosts: [{ ...HOST, ssh: "-oProxyCommand=x" }] }, /^inventory: hosts\[0\]\.ssh: /],
    ["a name for an address", { hosts: [{ ...HOST, address: "node1" }] }, /^inventory: hosts\[0\]\.address: /],
    ["an interface", { hosts: [{ ...HOST, interface: "eth0; reboot" }] }, /^inventory: hosts\[0\]\.interface: /],
    ["a command line", { hosts: [{ ...HOST, powerOff: "ipmitool off" }] }, /hosts\[0\]\.powerOff: not a list$/],
    ["an empty command", { hosts: [{ ...HOST, freeze: [] }] }, /hosts\[0\]\.freeze: the command is empty$/],
    ["a number for a word", { hosts: [{ ...HOST, options: ["-p", 22] }] }, /hosts\[0\]\.options\[1\]: not a text$/],
    ["a relative path", { hosts: [HOST], sync: ["app"] }, /^inventory: sync\[0\]: "app" is not an absolute path$/],
    ["a text for a truth", { hosts: [HOST], setup: "yes" }, /^inventory: setup: neither true nor false$/],
    ["one address twice", { hosts: [HOST, { ...HOST, ssh: "b" }] }, /hosts\[1\]\.address: "10.0.0.1" is hosts\[0\]'s/],
    [
      "one host twice",
      { hosts: [HOST, { ...HOST, address: "10.0.0.2" }] },
      /hosts\[1\]\.ssh: "root@a" is hosts\[0\]'s/,
    ],
  ];
  for (const [what, given, message] of wrong) {
    it(`names the key that is wrong: ${what}`, () => {
      assert.throws(
        () => resolveInventory(given),
        (error) => error instanceof LabOptionError && message.test(error.message),
      );
    });
  }

  it("takes one name by different ways for different hosts", () => {
    const other = { ...HOST, address: "10.0.0.2", options: ["-p", "23"] };
    assert.equal(resolveInventory({ hosts: [HOST, other] }).hosts.length, 2);
  });

  it("is read from a file", async () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), "clusterlock-inventory-"));
    const file = path.join(directory, "inventory.json");
    try {
      await assert.rejects(connectSsh(file), LabError);
      writeFileSync(file, "{ hosts: ");
      await assert.rejects(connectSsh(file), /^LabOptionError: inventory: .*inventory\.json is not JSON/);
      writeFileSync(file, "{}");
      await assert.rejects(connectSsh(file), /^LabOptionError: inventory: hosts: missing/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
