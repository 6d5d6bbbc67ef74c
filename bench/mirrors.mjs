// Mirrors on ram disks, each with another log, and the parties that do I/O to them.
import { Party } from "./parties.mjs";

const MIB = 64;
const SECTORS = MIB * 2048;
const REGION = 1024;

/** By the party's name: the table's log, and who serves it. */
const LOGS = {
  ours: { log: (uuid) => `userspace 4 ${uuid} clustered-core ${REGION} nosync`, server: "ours" },
  "ours, disk": { log: (uuid, disk) => `userspace 5 ${uuid} clustered-disk ${disk} ${REGION} nosync`, server: "ours" },
  "C daemon": { log: (uuid) => `userspace 4 ${uuid} clustered-core ${REGION} nosync`, server: "C daemon" },
  "kernel core": { log: () => `core 2 ${REGION} nosync` },
  "kernel disk": { log: (_uuid, disk) => `disk 3 ${disk} ${REGION} nosync` },
};

/** Does I/O while its log is served: two daemons at a time would answer each other's requests. */
class MirrorParty {
  #io;
  #server;

  constructor(io, server) {
    this.#io = io;
    this.#server = server;
  }

  async turn(workload, count) {
    await this.#server?.ask("listen");
    const took = await this.#io.turn(workload, count);
    await this.#server?.ask("stop");
    return took;
  }

  async end() {
    await this.#io.end();
  }
}

async function shell(cluster, script) {
  const child = cluster.exec(1, ["sh", "-ec", script]);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  child.stdout.resume();
  const { code } = await child.exit;
  if (code !== 0) throw new Error(`${script}: ${errors.trim()}`);
}

/** Makes the mirrors. `end` is to be called at last. */
export async function mirrorParties(cluster) {
  const names = Object.keys(LOGS);
  await shell(cluster, `modprobe brd rd_nr=${names.length * 3} rd_size=${MIB * 1024}; modprobe dm-mirror`);
  const servers = new Map();
  for (const name of ["ours", "C daemon"]) servers.set(name, await Party.named(cluster, 1, name, { kernel: "clog" }));
  const parties = new Map();
  for (const [index, name] of names.entries()) {
    const [leg0, leg1, disk] = [0, 1, 2].map((which) => `/dev/ram${index * 3 + which}`);
    const log = LOGS[name].log(`bench-${index}`, disk);
    const server = servers.get(LOGS[name].server);
    await server?.ask("listen");
    const table = `0 ${SECTORS} mirror ${log} 2 ${leg0} 0 ${leg1} 0 1 handle_errors`;
    await shell(cluster, `dmsetup create bench${index} --table '${table}'`);
    await server?.ask("stop");
    const io = await Party.named(cluster, 1, "io", { kernel: "clog", args: [`/dev/mapper/bench${index}`] });
    parties.set(name, new MirrorParty(io, server));
  }
  const facts = JSON.parse(await servers.get("ours").ask("facts"));
  return {
    parties,
    facts,
    async end() {
      for (const party of parties.values()) await party.end();
      for (const server of servers.values()) await server.end();
    },
  };
}
