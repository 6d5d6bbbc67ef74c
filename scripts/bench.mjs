// npm run bench: rough
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { COMMANDS, Party } from "../bench/parties.mjs";
import { median } from "../bench/statistics.mjs";
const { up } = createRequire(import.meta.url)("../dist/lab");
execFileSync(
  "sh",
  [
    "-ec",
    `mkdir -p build/bench; F="-std=gnu11 -O2 -Wall -Wextra -Werror -D_REENTRANT"
gcc $F -o build/bench/bare bench/peers/bare.c bench/peers/turns.c
gcc $F -o build/bench/libdlm bench/peers/libdlm.c bench/peers/turns.c -ldlm -lpthread`,
  ],
  { stdio: "inherit" },
);
const args = Object.fromEntries(process.argv.slice(2).map((a) => a.split("=")));
const rounds = Number(args.rounds ?? 5),
  cpus = Number(args.cpus ?? 2),
  seconds = Number(args.seconds ?? 1);
const only = args.only?.split(",");
const LOCAL = [
  { name: "pair 1", workload: "pair", depth: 1, parties: ["ours", "libdlm-wait", "libdlm-async", "bare"] },
  { name: "pair 64", workload: "pair", depth: 64, parties: ["ours", "libdlm-async", "bare"] },
  { name: "convert 1", workload: "convert", depth: 1, parties: ["ours", "libdlm-wait", "libdlm-async", "bare"] },
];
const workloads = LOCAL.filter((w) => !only || only.includes(w.name.replace(" ", "")));
const nodes = args.remote ? 2 : 1;
const cluster = await up({ nodes, stack: "dlm", cpus, onProgress: (l) => console.error(l) });
try {
  if (nodes === 2) {
    const h = await Party.start(cluster, 2, COMMANDS.ours("bench"));
    console.log(await h.ask("hold"));
  }
  const parties = {};
  for (const name of ["ours", "libdlm-wait", "libdlm-async", "bare"])
    parties[name] = await Party.start(cluster, 1, COMMANDS[name]("bench"));
  console.log(await parties.ours.ask("facts"));
  for (const w of workloads) {
    const counts = {},
      rates = {};
    for (const p of w.parties) {
      let count = 64,
        t = 0;
      while ((t = await parties[p].turn(w, count)) < seconds * 0.5)
        count = Math.ceil(count * Math.min(8, (seconds * 0.75) / t));
      counts[p] = Math.ceil((count * seconds * 1.1) / t);
      rates[p] = [];
    }
    for (let r = 0; r < rounds; r++)
      for (const p of w.parties) rates[p].push(counts[p] / (await parties[p].turn(w, counts[p])));
    const m = Object.fromEntries(w.parties.map((p) => [p, median(rates[p])]));
    console.log(
      (nodes === 2 ? "remote " : "") + w.name,
      w.parties
        .map(
          (p) =>
            `${p} ${m[p].toFixed(0)}/s (${(m.ours / m[p]).toFixed(2)}) [${Math.min(...rates[p]).toFixed(0)}-${Math.max(...rates[p]).toFixed(0)}]`,
        )
        .join("  "),
    );
  }
} finally {
  await cluster.down();
}
