// The receive thread's codec: on the golden datagrams, against the one in TypeScript, and on whatever else may come.
import assert from "node:assert/strict";
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import type { Readable, Writable } from "node:stream";

import fc from "fast-check";

import { decodeRequest } from "../../lib/clog/protocol/decode";
import { MalformedPacket } from "../../lib/clog/protocol/envelope";
import { requestNumber } from "../../lib/clog/protocol/requests";
import { GOLDEN_FILE, type GoldenAnswer, readGolden } from "../unit/clog/protocol/golden";
import { mutated } from "../unit/clog/protocol/mutated";
import { runs } from "../unit/dlmfs/support";

const root = path.resolve(__dirname, "../..");
const CXX = ["-std=c++17", "-Icsrc", "-Itest/native", "csrc/clog/codec.cc"];
const STRICT = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];

/** What clog_codec_probe.cc writes. */
interface Probed {
  reason?: string;
  flavour: string;
  uuid: string;
  luid: string;
  version: number;
  seq: number;
  connectorSeq: number;
  type: number;
  data: string;
  regions: string[];
  done: string;
  failed: string;
  yes: string;
  no: string;
  again: string;
}

describe("the receive thread's codec", function () {
  this.timeout(180_000);
  const golden = readGolden();
  let place: string;
  let probe: ChildProcessByStdio<Writable, Readable, null>;
  let lines: AsyncIterator<string>;

  before(() => {
    place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-clog-codec-"));
    build("g++", [...CXX, "test/native/rings/clog_codec_probe.cc"], "probe");
    probe = spawn(path.join(place, "probe"), { stdio: ["pipe", "pipe", "inherit"] });
    lines = readline.createInterface({ input: probe.stdout })[Symbol.asyncIterator]();
  });
  after(async () => {
    rmSync(place, { recursive: true });
    probe.stdin.end();
    const [code] = (await once(probe, "exit")) as [number];
    assert.equal(code, 0);
  });

  function build(compiler: string, args: string[], name: string): void {
    execFileSync(compiler, [...STRICT, ...args, "-o", path.join(place, name)], { cwd: root });
  }

  async function ask(packet: Buffer): Promise<Probed> {
    probe.stdin.write(`${packet.toString("hex")}\n`);
    const line = await lines.next();
    assert.ok(!line.done, `it ended at ${packet.toString("hex")}`);
    return JSON.parse(line.value) as Probed;
  }

  it("is held to golden datagrams that are up to date", () => {
    const source = "test/golden/clog/generate.c";
    build("gcc", ["-std=c11", "-Wno-stringop-truncation", source], "generate");
    const written = execFileSync(path.join(place, "generate"), { encoding: "utf8" });
    const how = `${GOLDEN_FILE} is to be written anew: gcc ${source} -o /tmp/generate && /tmp/generate >${GOLDEN_FILE}`;
    assert.ok(written === readFileSync(GOLDEN_FILE, "utf8"), how);
  });

  it("reads each golden request, and answers it", async () => {
    for (const { name, packet, decoded, answers } of golden.requests) {
      const probed = await ask(packet);
      assert.equal(probed.reason, undefined, name);
      assertSame(packet, probed);
      const { body } = decoded;
      const regions = "regions" in body ? body.regions : "region" in body ? [body.region] : [];
      assert.deepEqual(probed.regions, regions.map(String), name);
      for (const answer of answers) {
        const written = answerOf(probed, answer);
        if (written !== undefined) assert.equal(written, answer.packet.toString("hex"), name);
      }
    }
  });

  it("refuses each malformed one, for the same reason", async () => {
    for (const { reason, packet } of golden.malformed) assert.deepEqual(await ask(packet), { reason });
  });

  it("takes and refuses what the one in TypeScript does, and reads the same in it", async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(mutated, async (packet) => {
        const probed = await ask(packet);
        assertSame(packet, probed);
        if (probed.reason === undefined) taken++;
      }),
      runs(3000),
    );
    assert.ok(taken > 300, `${taken} were taken`);
  });

  it("reads and writes nothing out of bounds, and answers nothing that the kernel takes wrongly", () => {
    build("g++", [...CXX, "test/fuzz/clog_codec_fuzz.cc"], "fuzz");
    const input = [...golden.requests, ...golden.malformed].map(({ packet }) => packet.toString("hex")).join("\n");
    const seed = process.env["CLUSTERLOCK_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
    const options = { input, encoding: "utf8", timeout: 120_000 } as const;
    const { status, stdout, stderr } = spawnSync(path.join(place, "fuzz"), ["100000", seed], options);
    assert.equal(status, 0, `CLUSTERLOCK_SEED=${seed}: ${stderr}`);
    assert.ok(Number(stdout) > 10_000, `${stdout.trim()} were taken`);
  });
});

function assertSame(packet: Buffer, probed: Probed): void {
  const hex = packet.toString("hex");
  let request;
  try {
    request = decodeRequest(packet);
  } catch (error) {
    assert.ok(error instanceof MalformedPacket, hex);
    assert.equal(probed.reason, error.message, hex);
    return;
  }
  const { flavour, uuid, luid, version, seq, body } = request;
  const { type, data } = probed;
  assert.deepEqual(
    [probed.flavour, Buffer.from(probed.uuid, "hex").toString(), probed.luid, probed.version, probed.seq, type],
    [flavour, uuid, String(luid), version, seq, requestNumber(body.name)],
    hex,
  );
  assert.equal(probed.connectorSeq, seq);
  if ("region" in body) assert.deepEqual(probed.regions, [String(body.region)], hex);
  if ("regions" in body) assert.deepEqual(probed.regions, body.regions.map(String), hex);
  if (body.name === "CTR") {
    assert.equal(data.endsWith("00"), body.reconnect, hex);
    const words = Buffer.from(data, "hex").toString().replace("\0", "").split(" ");
    assert.deepEqual(
      words.filter((word) => word !== ""),
      body.words,
    );
  }
}

/** What the receive thread answers itself, in the long form; what it does not: undefined. */
function answerOf(probed: Probed, answer: GoldenAnswer): string | undefined {
  if ("ack" in answer) return answer.ack === os.constants.errno.EAGAIN ? probed.again : undefined;
  if ("error" in answer) return answer.error === -os.constants.errno.EIO ? probed.failed : undefined;
  if ("yes" in answer.answer) return answer.answer.yes ? probed.yes : probed.no;
  return Object.keys(answer.answer).length === 1 ? probed.done : undefined;
}
