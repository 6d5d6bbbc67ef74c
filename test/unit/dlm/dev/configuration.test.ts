import assert from "node:assert/strict";

import { Configuration } from "../../../../lib/dlm/dev/configuration";
import { FakeTree } from "./fake-tree";

const CLUSTER = "/sys/kernel/config/dlm/cluster";

describe("the development controller's configuration", () => {
  let tree: FakeTree;
  let configuration: Configuration;

  beforeEach(() => {
    tree = new FakeTree();
    configuration = new Configuration(tree);
  });

  it("names the cluster first and the local node last", () => {
    configuration.establish();
    assert.deepEqual(tree.done, [
      "mkdir C",
      'C/cluster_name = "clusterlock-dev"',
      "mkdir C/comms/1",
      'C/comms/1/nodeid = "1"',
      `C/comms/1/addr = "020000007f000001${"00".repeat(120)}"`,
      'C/comms/1/local = "1"',
    ]);
  });

  it("goes on where it was interrupted", () => {
    configuration.establish();
    tree.values.delete(`${CLUSTER}/comms/1/local`);
    tree.done.length = 0;
    configuration.establish();
    assert.deepEqual(tree.done, ['C/comms/1/local = "1"']);
  });

  it("goes without a trace: the module would keep the name", () => {
    configuration.establish();
    configuration.addSpace("left");
    tree.done.length = 0;
    configuration.clear();
    assert.deepEqual(tree.done, [
      "rmdir C/spaces/left/nodes/1",
      "rmdir C/spaces/left",
      "rmdir C/comms/1",
      'C/cluster_name = "\\u0000"',
      "rmdir C",
    ]);
    configuration.clear();
  });

  it("gives a node that never had an address one before it goes: newer kernels warn otherwise", () => {
    tree.make(CLUSTER);
    tree.make(`${CLUSTER}/comms/1`);
    configuration.clear();
    const at = (what: string): number => tree.done.findIndex((line) => line.startsWith(what));
    assert.ok(at("C/comms/1/nodeid") < at("C/comms/1/addr") && at("C/comms/1/addr") < at("rmdir C/comms/1"));
  });

  it("knows whose it is", () => {
    assert.equal(configuration.owner(false), "nobody");
    tree.make(CLUSTER);
    assert.equal(configuration.owner(false), "another");
    assert.equal(configuration.owner(true), "us");
    tree.values.set(`${CLUSTER}/cluster_name`, "lab\n");
    assert.equal(configuration.owner(true), "another");
    tree.values.set(`${CLUSTER}/cluster_name`, "clusterlock-dev\n");
    assert.equal(configuration.owner(false), "us");
    tree.make(`${CLUSTER}/comms/2`);
    assert.equal(configuration.owner(false), "another");
  });
});
