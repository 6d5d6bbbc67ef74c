import assert from "node:assert/strict";

import type { FromAgent, ToAgent } from "../../../lib/lab/agent/messages";
import { Decoder, encode } from "../../../lib/lab/wire/json-lines";
import { type ToProcess, WINDOW } from "../../../lib/lab/wire/process-messages";
import { RemoteProcess } from "../../../lib/lab/wire/remote-process";

function remote(): { sent: ToProcess[]; process: RemoteProcess } {
  const sent: ToProcess[] = [];
  return { sent, process: new RemoteProcess(7, (message) => sent.push(message)) };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("lab: the control channel", () => {
  it("delivers messages wherever the stream is cut", () => {
    const messages: FromAgent[] = [
      { t: "hello" },
      { t: "out", id: 3, fd: 1, d: Buffer.from([0, 10, 255, 13]).toString("base64") },
      { t: "exit", id: 3, code: null, signal: "SIGKILL", lost: null },
    ];
    const stream = Buffer.concat(messages.map(encode));
    for (let cut = 0; cut <= stream.length; cut++) {
      const decoder = new Decoder<FromAgent>();
      const found = [...decoder.push(stream.subarray(0, cut)), ...decoder.push(stream.subarray(cut))];
      assert.deepEqual(found, messages, `cut at ${cut}`);
    }
  });

  it("keeps newlines and other letters inside a message", () => {
    const message: ToAgent = { t: "exec", id: 1, argv: ["printf", "a\nb", "ü€"], cwd: "/a b", env: { X: "\u0000\n" } };
    assert.deepEqual(new Decoder<ToAgent>().push(encode(message)), [message]);
  });
});

describe("lab: a program on a node", () => {
  it("has its output and its end", async () => {
    const { process } = remote();
    process.output(1, Buffer.from("abc"));
    process.exited({ code: 5, signal: null, lost: null });
    process.output(1, Buffer.from("def"));
    process.outputEnd(1);
    process.outputEnd(2);
    assert.deepEqual(await process.exit, { code: 5, signal: null, lost: null });
    let text = "";
    for await (const chunk of process.stdout) text += String(chunk);
    assert.equal(text, "abcdef");
    await process.finished;
  });

  it("gets no more credit than is read of it", async () => {
    const { sent, process } = remote();
    const piece = Buffer.alloc(WINDOW / 4);
    for (let count = 0; count < 4; count++) process.output(1, piece);
    await turn();
    const credit = (): number => sent.reduce((sum, message) => sum + (message.t === "credit" ? message.n : 0), 0);
    assert.ok(credit() < WINDOW / 2, `credit for ${credit()} bytes without a reader`);
    process.stdout.resume();
    await turn();
    process.output(1, Buffer.from("x"));
    await turn();
    assert.equal(credit(), WINDOW + 1);
  });

  it("takes input a piece at a time, when the node has taken the one before", async () => {
    const { sent, process } = remote();
    let written = false;
    process.stdin.write(Buffer.alloc(100_000), () => (written = true));
    const pieces = (): number[] =>
      sent.filter((message) => message.t === "stdin").map((message) => Buffer.from(message.d, "base64").length);
    assert.deepEqual(pieces(), [65_536]);
    process.inputDone(false);
    assert.deepEqual(pieces(), [65_536, 34_464]);
    process.inputDone(false);
    await turn();
    assert.equal(written, true);
    process.stdin.end();
    await turn();
    assert.deepEqual(sent.at(-1), { t: "stdin-end", id: 7 });
  });

  it("is lost with its node: streams end, writes return, the status says so", async () => {
    const { sent, process } = remote();
    process.output(1, Buffer.from("last words"));
    process.stdin.write("never taken");
    process.lose("died");
    assert.deepEqual(await process.exit, { code: null, signal: null, lost: "died" });
    let text = "";
    for await (const chunk of process.stdout) text += String(chunk);
    assert.equal(text, "last words");
    await new Promise((resolve) => process.stdin.write("nobody there", resolve));
    process.kill("SIGKILL");
    assert.equal(
      sent.some((message) => message.t === "signal"),
      false,
    );
  });

  it("keeps the status it ended with when its node goes later", async () => {
    const { process } = remote();
    process.exited({ code: 0, signal: null, lost: null });
    process.lose("died");
    assert.deepEqual(await process.exit, { code: 0, signal: null, lost: null });
    await process.finished;
  });
});
