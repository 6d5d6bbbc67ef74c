import assert from "node:assert/strict";

import { Configuration } from "../../../../lib/dlm/dev/configuration";
import { Controller } from "../../../../lib/dlm/dev/controller";
import { FakeTree } from "./fake-tree";

describe("the development controller", () => {
  let tree: FakeTree;
  let controller: Controller;

  beforeEach(() => {
    tree = new FakeTree();
    const configuration = new Configuration(tree);
    configuration.establish();
    controller = new Controller(tree, configuration, () => undefined);
    tree.done.length = 0;
  });

  const say = (action: string, lockspace: string, overflowed = false): void => {
    controller.onUevents([{ action, lockspace, devpath: "" }], overflowed);
  };

  it("lets a lockspace begin: members, id, start, answer", () => {
    tree.lockspace("a");
    say("add", "a");
    say("online", "a");
    assert.deepEqual(tree.done, [
      "mkdir C/spaces/a",
      "mkdir C/spaces/a/nodes/1",
      'C/spaces/a/nodes/1/nodeid = "1"',
      'C/spaces/a/nodes/1/weight = "1"',
      'S/a/id = "439745055"',
      'S/a/control = "1"',
      'S/a/event_done = "0"',
    ]);
  });

  it("lets it end without ever stopping it", () => {
    tree.lockspace("a");
    say("online", "a");
    tree.done.length = 0;
    say("offline", "a");
    assert.deepEqual(tree.done, ["rmdir C/spaces/a/nodes/1", "rmdir C/spaces/a", 'S/a/event_done = "0"']);
  });

  it("says no when it cannot: the creator gets the error", () => {
    tree.lockspace("a");
    tree.fails = (path) => path.endsWith("nodeid");
    say("online", "a");
    assert.equal(tree.done.at(-1), 'S/a/event_done = "-22"');
    tree.fails = () => false;
    tree.lockspace("b!c");
    say("online", "b/c");
    assert.equal(tree.done.at(-1), 'S/b!c/event_done = "-5"');
  });

  it("takes no old announcement for news", () => {
    tree.lockspace("a", { id: 7, status: "ff", device: true });
    say("online", "a");
    say("offline", "a");
    say("offline", "gone");
    say("online", "gone");
    assert.deepEqual(tree.done, []);
    // ended, and begun again by the same name
    tree.lockspace("b");
    say("offline", "b");
    assert.deepEqual(tree.done, []);
  });

  it("answers after it everyone who waited while announcements were lost, and nobody else", () => {
    tree.lockspace("new");
    tree.lockspace("running", { id: 7, status: "ff", device: true });
    tree.lockspace("ending", { id: 7, status: "ff" });
    tree.lockspace("halfway", { id: 7, status: "0" });
    tree.make("/sys/kernel/config/dlm/cluster/spaces/gone");
    tree.done.length = 0;
    controller.onUevents([], true);
    const answers = tree.done.filter((line) => line.includes("event_done") || line.includes("control"));
    assert.deepEqual(answers, [
      'S/new/control = "1"',
      'S/new/event_done = "0"',
      'S/ending/event_done = "0"',
      'S/halfway/event_done = "-11"',
    ]);
    assert.ok(tree.done.includes("rmdir C/spaces/gone"));
  });

  it("forgets the members of what has gone", () => {
    tree.make("/sys/kernel/config/dlm/cluster/spaces/gone");
    say("remove", "gone");
    assert.equal(tree.done.at(-1), "rmdir C/spaces/gone");
  });
});
