// The driver's hand on a host: ssh starts it, it does what the driver asks over its standard streams, and what it has
// started ends with it.

import { readFileSync } from "node:fs";
import { Socket } from "node:net";

import { PipeMaker } from "../agent/pipes";
import { AgentProcess } from "../agent/process";
import type { FromAgent, ToAgent } from "../agent/messages";
import { Decoder, encode } from "../wire/json-lines";
import { formatGreeting } from "./greeting";

/** The driver asks for the time every few seconds. When its machine loses power, no connection ends. */
const MAX_SILENCE_S = 60;

const pipes = new PipeMaker(`/run/clusterlock/ssh-${process.pid}`);
const processes = new Map<number, AgentProcess>();
const output = new Socket({ fd: 1, readable: false, writable: true });
const input = new Socket({ fd: 0, readable: true, writable: false });
let silence = 0;

function send(message: FromAgent): void {
  output.write(encode(message));
}

function take(message: ToAgent): void {
  switch (message.t) {
    case "exec": {
      const { id } = message;
      processes.set(id, new AgentProcess(message, pipes, send, () => processes.delete(id)));
      break;
    }
    case "stdin":
      processes.get(message.id)?.input(Buffer.from(message.d, "base64"));
      break;
    case "stdin-end":
      processes.get(message.id)?.endInput();
      break;
    case "credit":
      processes.get(message.id)?.credit(message.fd, message.n);
      break;
    case "signal":
      processes.get(message.id)?.signal(message.signal);
      break;
    case "clock":
      send({ t: "clock", at: Date.now() });
      break;
    default:
    // "clock-set": a real machine's clock is its administrator's; and programs here have no way to the lab
  }
}
// ssh gave us a session of our own, so the group is what we have started, and what that has
function end(): never {
  pipes.remove();
  process.kill(0, "SIGKILL");
  process.exit(1);
}

const decoder = new Decoder<ToAgent>();
input.on("data", (chunk: Buffer) => {
  silence = 0;
  for (const message of decoder.push(chunk)) take(message);
});
for (const stream of [input, output]) stream.on("error", end).on("close", end);
input.on("end", end);
// counted, not measured: a node that was frozen has not been idle
setInterval(() => {
  if (++silence > MAX_SILENCE_S) end();
}, 1000);

output.write(
  formatGreeting({
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    connection: process.argv[2] ?? "",
  }),
);
send({ t: "hello" });
