import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, truncateSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

import { LabError } from "../../../lib/lab/errors";
import { SharedDisks } from "../../../lib/lab/qemu/disks/disks";
import type { DiskEvent } from "../../../lib/lab/recording";
import { readRecording, Recorder } from "../../../lib/lab/recording";
import { FUA, NbdClient, SECTOR } from "./disks-nbd-client";

const MIB = 1024 * 1024;

describe("lab: a recording of the disks", () => {
  let directory: string;
  let record: string;
  let disks: SharedDisks | undefined;

  const connect = (node: number, disk: number): Promise<NbdClient> => {
    const blockdevs = disks!.qemuArgs(node).filter((_, index, args) => args[index - 1] === "-blockdev");
    const options = new URLSearchParams(blockdevs[disk - 1]!.replaceAll(",", "&"));
    return NbdClient.go(options.get("server.path")!, options.get("export")!);
  };
  const told = (): string[] =>
    [...readRecording(record).events()].map((event) => {
      if (event.kind === "lost") return `lost n${event.node}`;
      if (event.kind === "done") return `done ${event.request}${event.failed ? " failed" : ""}`;
      const what = `${event.request} n${event.node} disk${event.disk} ${event.kind}`;
      if (event.kind === "flush") return what;
      const { offset, data, durable } = event;
      return `${what} ${offset / SECTOR}+${data.length / SECTOR} of ${data[0]}${durable ? " durable" : ""}`;
    });

  beforeEach(() => {
    directory = mkdtempSync("/tmp/clt-");
    record = path.join(directory, "disks.rec");
  });
  afterEach(async () => {
    await disks?.close();
    disks = undefined;
    rmSync(directory, { recursive: true });
  });

  it("has all that changes them, of every node and disk, in order, and is there at once", async () => {
    disks = await SharedDisks.open({ directory, nodes: [1, 2], sizes: [MIB, 2 * MIB], record });
    assert.deepEqual(readRecording(record).sizes, [MIB, 2 * MIB]);
    const [one, two] = [await connect(1, 1), await connect(2, 2)];
    await one.fill(0, 2, 1);
    await two.fill(5, 1, 2, FUA);
    await one.look(0, 2);
    await one.flush();
    await disks.settle(1, "all", 1);
    assert.deepEqual(told(), [
      ...["0 n1 disk0 write 0+2 of 1", "done 0"],
      ...["1 n2 disk1 write 5+1 of 2 durable", "done 1"],
      ...["2 n1 disk0 flush", "done 2"],
      "lost n1",
    ]);
  });

  it("says which requests were under way together", async () => {
    disks = await SharedDisks.open({ directory, nodes: [1], sizes: [MIB, MIB], record });
    const clients = [await connect(1, 1), await connect(1, 2)];
    await Promise.all([
      ...clients.map((client) => client.fill(0, 1, 7)),
      ...clients.map((client) => client.fill(1, 1, 8)),
    ]);
    const events = [...readRecording(record).events()];
    for (const request of [0, 1, 2, 3]) {
      const [issued, done] = ["write", "done"].map((kind) =>
        events.findIndex((event) => event.kind === kind && "request" in event && event.request === request),
      );
      assert.ok(issued! >= 0 && issued! < done!, `request ${request} began at ${issued} and ended at ${done}`);
    }
  });

  it("can be read while its last record is being written", () => {
    const recorder = new Recorder(record, [MIB]);
    recorder.write(1, 0, 512, [Buffer.alloc(512, 1), Buffer.alloc(512, 2)], false);
    const whole = statSync(record).size;
    recorder.done(0, true);
    recorder.close();
    const all = [...readRecording(record).events()];
    const data = Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(512, 2)]);
    const write: DiskEvent = { kind: "write", request: 0, disk: 0, node: 1, offset: 512, data, durable: false };
    assert.deepEqual(all, [write, { kind: "done", request: 0, failed: true }]);
    for (const size of [statSync(record).size - 1, whole]) {
      truncateSync(record, size);
      assert.deepEqual([...readRecording(record).events()], [write]);
    }
    truncateSync(record, whole - 1);
    assert.deepEqual([...readRecording(record).events()], []);
  });

  it("is not put in the place of a file that is there, and is told from other files", async () => {
    writeFileSync(record, "kept");
    await assert.rejects(SharedDisks.open({ directory, nodes: [1], sizes: [MIB], record }), LabError);
    assert.throws(() => readRecording(record), /is no recording/);
    rmSync(record);
    new Recorder(record, [MIB]).close();
    appendFileSync(record, Buffer.concat([Buffer.of(99), Buffer.alloc(23)]));
    assert.throws(() => [...readRecording(record).events()], /record of kind 99/);
  });
});
