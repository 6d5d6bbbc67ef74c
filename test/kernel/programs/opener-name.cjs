// node opener-name.cjs ADDON EXECUTABLE: joins domains on fs/dlm and has the opener killed at every moment of that. Says
// as one line of JSON what became of the cluster's name.
const fs = require("node:fs");

const [addon, executable] = process.argv.slice(2);
const NAME = "/sys/kernel/config/dlm/cluster/cluster_name";
const SAVED = "/run/clusterlock-test/name";
const DEADLINE = Date.now() + 120_000;
const MOMENTS = [0, 2, 5, 10, 20, 40]; // milliseconds

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const name = () => fs.readFileSync(NAME, "latin1");
const saved = () => fs.readFileSync(SAVED, "latin1");
const join = (domain) => ({ op: "mkdir", path: `/dlm/${domain}`, namePath: NAME, nameLockPath: SAVED });

async function until(condition) {
  while (!condition() && Date.now() < DEADLINE) await sleep(2);
}

function start() {
  return new Promise((resolve, reject) => {
    const answers = new Map();
    const client = { ended: false, last: 0 };
    client.ask = (request) =>
      new Promise((settle) => {
        answers.set(++client.last, settle);
        client.opener.request(client.last, request);
      });
    const started = (failure, opener) => {
      if (failure) return reject(new Error(JSON.stringify(failure)));
      client.opener = opener;
      opener.setRef(true);
      resolve(client);
    };
    const onEvents = (events) => {
      for (const event of events) answers.get(event.id)(event);
    };
    require(addon).startOpener(executable, "process", started, onEvents, () => (client.ended = true));
  });
}

async function main() {
  const first = await start();
  const said = { before: name(), plain: (await first.ask({ op: "mkdir", path: "/dlm/plain" })).errno };
  said.joined = (await first.ask(join("joined"))).errno;
  said.after = name();
  said.left = (await first.ask({ op: "rmdir", path: "/dlm/joined" })).errno;
  first.opener.close();

  const rounds = [];
  const blank = () => rounds.filter(({ killed }) => killed === "\n").length;
  for (let round = 0; (round < 12 || blank() < 3) && Date.now() < DEADLINE; round++) {
    const client = await start();
    void client.ask(join(`killed${round}`));
    const end = Date.now() + MOMENTS[round % MOMENTS.length];
    while (Date.now() < end);
    process.kill(client.opener.pid, "SIGKILL");
    const killed = name();
    await until(() => client.ended);
    await until(() => name() !== "\n" && saved() === "");
    rounds.push({ killed, name: name(), saved: saved() });
    await until(() => !fs.existsSync(`/proc/${client.opener.pid}`));
  }
  said.blank = blank();
  said.wrong = rounds.filter((round) => round.name !== said.before || round.saved !== "");

  // nobody is left to be told of the domain
  const last = await start();
  void last.ask(join("untold"));
  last.opener.close();
  await until(() => !fs.existsSync(`/proc/${last.opener.pid}`));
  said.untold = [fs.existsSync("/dlm/untold"), name()];
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

main();
