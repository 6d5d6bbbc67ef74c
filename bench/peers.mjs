// Compiles the peers, on the host: nodes run its programs.
import { mkdirSync } from "node:fs";
import path from "node:path";

import { runChild } from "../scripts/runner/child.mjs";

const sources = path.join(import.meta.dirname, "peers");
const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_REENTRANT"];
const PROGRAMS = {
  bare: { files: ["bare.c", "turns.c"] },
  libdlm: { files: ["libdlm.c", "turns.c"], libraries: ["-ldlm", "-lpthread"] },
  dlmfs: { files: ["dlmfs.c", "turns.c"], libraries: ["-lo2dlm", "-lcom_err", "-ldl"] },
  mirror_io: { files: ["mirror_io.c", "turns.c"] },
  mirror_log: { files: ["mirror_log.c", "turns.c"] },
  syscalls: { files: ["syscalls.c"] },
};

export async function compilePeers(build) {
  mkdirSync(build, { recursive: true });
  for (const [name, { files, libraries = [] }] of Object.entries(PROGRAMS)) {
    const inputs = files.map((file) => path.join(sources, file));
    const args = [...FLAGS, "-o", path.join(build, name), ...inputs, ...libraries];
    const { code, output } = await runChild("gcc", args, { cwd: sources, collect: "all" });
    if (code !== 0) throw new Error(`${name} does not compile:\n${output}`);
  }
}
