import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";

import type { Cluster, ClusterStatus, ExitStatus, NodeStatus, NodeProcess } from "../../../lib/lab/cluster";
import { LabOptionError } from "../../../lib/lab/errors";
import type { CommandOptions } from "../../../lib/lab/run";
import { runOn } from "../../../lib/lab/run";

async function nothing(): Promise<void> {
  return Promise.resolve();
}

/** A cluster whose programs do what the test says. */
class FakeCluster implements Cluster {
  readonly nodes = [1, 2, 3];
  readonly stack = "none";
  readonly started = new Map<number, { stdout: PassThrough; stderr: PassThrough; end: (status: ExitStatus) => void }>();

  env(): Record<string, string> {
    return {};
  }

  exec(node: number): NodeProcess {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    let end: (status: ExitStatus) => void = () => undefined;
    const exit = new Promise<ExitStatus>((resolve) => {
      end = resolve;
    });
    this.started.set(node, { stdout, stderr, end });
    return { stdin: new PassThrough(), stdout, stderr, exit, kill: () => undefined };
  }

  /** What the status says of nodes that are off. */
  offBy: NodeStatus[] = [];
  readonly kill = nothing;
  readonly start = nothing;
  readonly freeze = nothing;
  readonly thaw = nothing;
  readonly partition = nothing;
  readonly heal = nothing;
  readonly loss = nothing;
  readonly delay = nothing;
  readonly down = nothing;
  readonly [Symbol.asyncDispose] = nothing;

  async console(): Promise<string> {
    return Promise.resolve("");
  }

  async status(): Promise<ClusterStatus> {
    return Promise.resolve({ driver: "fake", stack: "none", nodes: this.offBy, partition: null, links: [] });
  }

  finish(node: number, status: Partial<ExitStatus>): void {
    const program = this.started.get(node)!;
    program.stdout.end();
    program.stderr.end();
    program.end({ code: null, signal: null, lost: null, ...status });
  }
}

function collect(): { text: () => string; stream: Writable } {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done): void {
      text += String(chunk);
      done();
    },
  });
  return { text: () => text, stream };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("lab: a command on all nodes", () => {
  const quiet: CommandOptions = { command: ["x"], stdout: collect().stream, stderr: collect().stream };

  async function statusOf(ends: readonly [number, Partial<ExitStatus>][]): Promise<number> {
    const cluster = new FakeCluster();
    const result = runOn(cluster, { ...quiet, on: ends.map(([node]) => node) });
    await turn();
    for (const [node, status] of ends) {
      cluster.finish(node, status);
      await turn();
    }
    return result;
  }

  it("prefixes every line with its node, on the stream it came from", async () => {
    const cluster = new FakeCluster();
    const [stdout, stderr] = [collect(), collect()];
    const result = runOn(cluster, { command: ["x"], on: [1, 2], stdout: stdout.stream, stderr: stderr.stream });
    await turn();
    cluster.started.get(1)!.stdout.write("a");
    await turn();
    cluster.started.get(2)!.stdout.write("other\n");
    await turn();
    cluster.started.get(1)!.stdout.write("b\nlast");
    cluster.started.get(2)!.stderr.write("oh\n\n");
    await turn();
    assert.equal(stdout.text(), "[n2] other\n[n1] ab\n");
    cluster.finish(1, { code: 0 });
    cluster.finish(2, { code: 0 });
    assert.equal(await result, 0);
    assert.equal(stdout.text(), "[n2] other\n[n1] ab\n[n1] last\n");
    assert.equal(stderr.text(), "[n2] oh\n[n2] \n");
  });

  it("is 0 only if it was 0 on all, else the first that was not", async () => {
    assert.equal(await statusOf([[1, { code: 0 }], [2, { code: 0 }]]), 0); // prettier-ignore
    assert.equal(await statusOf([[1, { code: 0 }], [3, { code: 4 }], [2, { code: 5 }]]), 4); // prettier-ignore
  });

  it("is 128 and the signal's number for a signal", async () => {
    assert.equal(await statusOf([[1, { signal: "SIGTERM" }]]), 143);
  });

  it("is 137 for a node that died or was fenced, or was switched off by somebody else", async () => {
    assert.equal(await statusOf([[1, { code: 0 }], [2, { lost: "died" }]]), 137); // prettier-ignore
    assert.equal(await statusOf([[1, { code: 0 }], [2, { lost: "fenced" }]]), 137); // prettier-ignore
    assert.equal(await statusOf([[1, { code: 0 }], [2, { lost: "killed" }]]), 137); // prettier-ignore
  });

  it("is 0 for a node that the command itself had switched off", async () => {
    const cluster = new FakeCluster();
    const result = runOn(cluster, { ...quiet, on: [2] });
    await turn();
    cluster.offBy = [{ node: 2, state: "off", lost: "killed", by: 1, detail: "" }];
    cluster.finish(2, { lost: "killed" });
    assert.equal(await result, 0);
  });

  it("is 124 when the time is over, and says where it still runs", async () => {
    const cluster = new FakeCluster();
    const said: string[] = [];
    const result = runOn(cluster, { ...quiet, timeout: 30 }, { onProgress: (line) => said.push(line) });
    await turn();
    cluster.finish(2, { code: 9 });
    assert.equal(await result, 124);
    assert.match(said.join(), /still running on n1, n3$/);
  });

  it("does not wait for a stream that a left-over child holds open", async () => {
    const cluster = new FakeCluster();
    const result = runOn(cluster, { ...quiet, on: [1] });
    await turn();
    cluster.started.get(1)!.end({ code: 6, signal: null, lost: null });
    assert.equal(await result, 6);
  }).timeout(5000);

  it("loses nothing of a program that has ended when our own reader is slow", async () => {
    const cluster = new FakeCluster();
    let text = "";
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk, _encoding, done): void {
        text += String(chunk);
        setTimeout(done, 600);
      },
    });
    const result = runOn(cluster, { ...quiet, on: [1], stdout: slow });
    await turn();
    const program = cluster.started.get(1)!;
    program.end({ code: 0, signal: null, lost: null });
    for (let count = 0; count < 6; count++) {
      program.stdout.write(`line ${count}\n`);
      await turn();
    }
    await new Promise((resolve) => setTimeout(resolve, 2500));
    program.stdout.end("last\n");
    program.stderr.end();
    assert.equal(await result, 0);
    assert.match(text, /last/);
  }).timeout(15_000);

  it("ends with the reason of an abort", async () => {
    const stop = new AbortController();
    const result = runOn(new FakeCluster(), quiet, { signal: stop.signal });
    stop.abort(new Error("stop it"));
    await assert.rejects(result, /stop it/);
  });

  it("refuses what makes no sense", async () => {
    const cluster = new FakeCluster();
    await assert.rejects(runOn(cluster, { command: [] }), LabOptionError);
    await assert.rejects(runOn(cluster, { command: [""] }), LabOptionError);
    await assert.rejects(runOn(cluster, { ...quiet, on: [4] }), LabOptionError);
    for (const timeout of [0, NaN, Infinity, 2 ** 31]) {
      await assert.rejects(runOn(cluster, { ...quiet, timeout }), LabOptionError);
    }
    assert.equal(cluster.started.size, 0);
  });
});
