import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { isDeepStrictEqual } from "node:util";

import { until } from "./double";
import {
  Bench,
  type Client,
  EXCLUSION,
  EXCLUSIVE,
  PENDING,
  SHARED,
  UNLOCK,
  USERS,
  failure,
  fdsOf,
  grant,
  isFree,
  sleep,
} from "./opener-client";

const { EAGAIN, EBADF, EBUSY, ECANCELED, EEXIST, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, ELOOP, ESTALE } =
  os.constants.errno;
const { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK, O_EXCL } = fs.constants;
const isRoot = process.getuid!() === 0;

const threadsOf = (pid: number): number => fs.readdirSync(`/proc/${pid}/task`).length;

describe("an opener's requests", function () {
  this.timeout(30_000);
  const bench = Bench.on();

  for (const isolation of ["process", "thread"] as const) {
    describe(`on a ${isolation} of its own`, () => {
      let client: Client;
      beforeEach(async () => {
        client = await bench.start(isolation);
      });

      it("tells its process id", () => {
        assert.equal(client.native.pid === process.pid, isolation === "thread");
      });

      it("makes, lists and removes directories and files", async () => {
        const dir = bench.at("domain");
        assert.equal((await client.ask({ op: "mkdir", path: dir, mode: 0o700 })).errno, 0);
        assert.deepEqual(failure(await client.ask({ op: "mkdir", path: dir })), [EEXIST, "mkdir"]);
        assert.deepEqual((await client.ask({ op: "list", path: dir })).names, []);
        for (let twice = 0; twice < 2; twice++) {
          assert.equal((await client.ask({ op: "create", path: `${dir}/ä`, mode: 0o640 })).errno, 0);
        }
        assert.deepEqual((await client.ask({ op: "list", path: dir })).names, ["ä"]);
        const { stat } = await client.ask({ op: "stat", path: `${dir}/ä` });
        const { dev, ino, mode, uid, gid } = fs.statSync(`${dir}/ä`);
        assert.deepEqual(stat, { dev, ino, mode, uid, gid });
        assert.equal(mode, fs.constants.S_IFREG | 0o640);
        assert.deepEqual(failure(await client.ask({ op: "rmdir", path: dir })), [ENOTEMPTY, "rmdir"]);
        assert.equal((await client.ask({ op: "unlink", path: `${dir}/ä` })).errno, 0);
        assert.deepEqual(failure(await client.ask({ op: "unlink", path: `${dir}/ä` })), [ENOENT, "unlink"]);
        assert.equal((await client.ask({ op: "rmdir", path: dir })).errno, 0);
        assert.deepEqual(failure(await client.ask({ op: "stat", path: dir })), [ENOENT, "stat"]);
        assert.deepEqual(failure(await client.ask({ op: "list", path: dir })), [ENOENT, "opendir"]);
      });

      it("lists more names than one packet takes", async () => {
        const names = Array.from({ length: 3000 }, (_, i) => `${i}`.padStart(200, "n"));
        for (const name of names) fs.closeSync(fs.openSync(bench.at(name), "w"));
        const listed = await client.ask({ op: "list", path: bench.place });
        assert.ok(isDeepStrictEqual(listed.names!.sort(), names.sort()));
      });

      it("loses none of many requests that come at once, and does not stop the loop for them", async () => {
        const wanted = 3000;
        const long = `/${"x/".repeat(2000)}`; // together more than a socket takes
        const answers = Promise.all(
          Array.from({ length: wanted }, (_, i) => client.ask({ op: "stat", path: i % 2 === 0 ? long : bench.place })),
        );
        assert.equal(client.unanswered, wanted);
        let turns = 0;
        const timer = setInterval(() => turns++, 1);
        const errors = (await answers).map(({ errno }) => errno);
        clearInterval(timer);
        assert.deepEqual(
          errors,
          Array.from({ length: wanted }, (_, i) => (i % 2 === 0 ? -ENOENT : 0)),
        );
        assert.ok(turns > 0);
      });

      it("opens a lock file, and hands over what can be read and written", async () => {
        const own = await bench.sidecar(client);
        const file = await client.open({
          op: "acquire",
          path: bench.at("lock"),
          name: "lock",
          flags: O_RDWR | O_CREAT,
          mode: 0o604,
          range: EXCLUSIVE,
          sidecar: own,
          sidecarPath: bench.at("run/sidecar"),
        });
        assert.equal(fs.statSync(bench.at("lock")).mode & 0o777, 0o604);
        assert.match(fs.readFileSync(`/proc/self/fdinfo/${file.fd}`, "utf8"), /flags:\t02\d{6}\n/); // close-on-exec
        assert.equal(file.write(Buffer.from("value")), 5);
        const buffer = Buffer.alloc(64);
        assert.equal(file.read(buffer), 5);
        assert.equal(file.read(buffer), 5); // always from the start
        assert.equal(buffer.toString("latin1", 0, 5), "value");
        assert.equal(file.close(), 0);
      });

      it("says which call failed", async () => {
        const lock = { op: "acquire", path: bench.at("absent"), name: "lock", flags: O_RDWR } as const;
        assert.deepEqual(failure(await client.ask(lock)), [ENOENT, "open"]);
        assert.deepEqual(failure(await client.ask({ ...lock, range: SHARED })), [EBADF, "fcntl"]);
        const missing = await client.ask({ ...lock, sidecarPath: bench.at("no sidecar") });
        assert.deepEqual(failure(missing), [ESTALE, "fstat"]);
        assert.equal(client.phases.has(client.last), false); // it was not about to open
        const exclusive = { ...lock, path: bench.at("twice"), flags: O_RDWR | O_CREAT | O_EXCL };
        (await client.open(exclusive)).close();
        assert.deepEqual(failure(await client.ask(exclusive)), [EEXIST, "open"]);
      });

      it("waits for other processes of the node first, and gives that wait up", async () => {
        const [mine, others] = [await bench.sidecar(client), await bench.sidecar(client)];
        assert.equal(others.range("lock", EXCLUSION, EXCLUSIVE), 0);
        const lock = {
          op: "acquire",
          path: bench.at("lock"),
          name: "lock",
          flags: O_RDWR | O_CREAT,
          range: SHARED,
          sidecar: mine,
        } as const;
        const given = client.ask(lock);
        const id = client.last;
        const waits = async (): Promise<string[]> =>
          (await client.ask({ op: "status", path: "" })).status!.map(({ id: who, phase }) => `${who} ${phase}`);
        while ((await waits()).length === 0);
        assert.deepEqual(await waits(), [`${id} local`]);
        client.cancel(id);
        assert.deepEqual(failure(await given), [ECANCELED, "fcntl"]);
        assert.equal(client.phases.has(id), false);
        assert.deepEqual(await waits(), []);

        const kept = client.ask(lock);
        await sleep(20);
        assert.equal(fs.existsSync(bench.at("lock")), false);
        others.range("lock", EXCLUSION, UNLOCK);
        assert.equal((await kept).errno, 0);
        assert.ok(client.phases.has(client.last));
        // it is held on what was passed, whoever took it
        assert.equal(others.range("lock", EXCLUSION, EXCLUSIVE), -EAGAIN);
        assert.equal(others.range("lock", EXCLUSION, SHARED), 0);
        mine.close();
        assert.equal(others.range("lock", EXCLUSION, EXCLUSIVE), 0);
      });

      it("a cancel that meets the grant leaves either of the two, never both", async () => {
        const [mine, others] = [await bench.sidecar(client), await bench.sidecar(client)];
        const seen = { granted: 0, cancelled: 0 };
        for (let round = 0; round < 300; round++) {
          others.range("lock", EXCLUSION, EXCLUSIVE);
          const asked = client.ask({
            op: "acquire",
            path: bench.at("lock"),
            name: "lock",
            flags: O_RDWR | O_CREAT,
            range: EXCLUSIVE,
            sidecar: mine,
            sidecarPath: bench.at("run/sidecar"),
          });
          const id = client.last;
          if (round % 3 === 0) await sleep(round % 4);
          if (round % 2 === 0) client.cancel(id);
          others.range("lock", EXCLUSION, UNLOCK);
          if (round % 2 === 1) client.cancel(id);
          const { file, errno } = await asked;
          assert.equal(file === undefined, errno === -ECANCELED);
          assert.equal(client.phases.has(id), file !== undefined);
          if (file) assert.equal(isFree(others, "lock", EXCLUSION), false, `round ${round}`);
          seen[file ? "granted" : "cancelled"]++;
          file?.close();
          // a cancelled one may have taken it, which is for who passed the sidecar to mend
          mine.range("lock", EXCLUSION, UNLOCK);
          assert.ok(isFree(others, "lock", EXCLUSION), `round ${round}`);
        }
        assert.ok(seen.cancelled > 0, JSON.stringify(seen));
      });

      it("a request that fails or is cancelled leaves others of the same owner the range that they share", async () => {
        const [mine, others, dropping] = await Promise.all([1, 2, 3].map(() => bench.sidecar(client)));
        const reader = {
          op: "acquire",
          path: bench.at("lock"),
          name: "lock",
          flags: O_RDONLY | O_CREAT,
          range: SHARED,
          sidecar: mine!,
        } as const;
        const held = await client.open({ ...reader, sidecarPath: bench.at("run/sidecar") });
        const failed = await client.ask({ ...reader, sidecarPath: bench.at("run") + "/sidecar/below" });
        assert.deepEqual(failure(failed), [ENOTDIR, "open"]);
        assert.equal(others!.range("lock", EXCLUSION, EXCLUSIVE), -EAGAIN);
        // one who unlinks has the name: the next reader has come past the others of the node, and waits for that
        assert.equal(dropping!.range("lock", PENDING, EXCLUSIVE), 0);
        const waits = client.ask({ ...reader, sidecarPath: bench.at("run/sidecar") });
        const id = client.last;
        await sleep(20);
        client.cancel(id);
        assert.deepEqual(failure(await waits), [ECANCELED, "fcntl"]);
        assert.equal(others!.range("lock", EXCLUSION, EXCLUSIVE), -EAGAIN);
        held.close();
      });

      it("opens no lock once others would be kept out by another file, nor unlinks one", async () => {
        const sidecarPath = bench.at("run/sidecar");
        const mine = await bench.sidecar(client);
        const lock = { op: "acquire", path: bench.at("lock"), name: "lock", flags: O_RDWR | O_CREAT } as const;
        const excluding = { ...lock, range: EXCLUSIVE, sidecar: mine, sidecarPath } as const;
        fs.writeFileSync(lock.path, "");
        fs.unlinkSync(sidecarPath);
        assert.deepEqual(failure(await client.ask(excluding)), [ESTALE, "fstat"]);
        const unlink = { op: "unlink", path: lock.path, name: "lock", sidecarPath } as const;
        assert.deepEqual(failure(await client.ask(unlink)), [ESTALE, "fstat"]);
        assert.ok(fs.existsSync(lock.path));
        const next = await bench.sidecar(client);
        assert.deepEqual(failure(await client.ask(excluding)), [ESTALE, "fstat"]);
        (await client.open({ ...excluding, sidecar: next })).close();
      });

      it("marks the name while an open is under way, and refuses to unlink it", async () => {
        const [mine, others] = [await bench.sidecar(client), await bench.sidecar(client)];
        const file = bench.fifo("lock");
        const sidecarPath = bench.at("run/sidecar");
        const asked = client.ask({ op: "acquire", path: file, name: "lock", flags: O_RDONLY, sidecarPath });
        const id = client.last;
        await until("it is about to open", () => client.phases.has(id));
        const { status } = await client.ask({ op: "status", path: "" });
        assert.deepEqual(
          status!.map(({ id: who, phase }) => [who, phase]),
          [[id, "kernel"]],
        );
        assert.ok(fs.existsSync(`/proc/${client.native.pid}/task/${status![0]!.tid}`) && status![0]!.ms >= 0);
        assert.deepEqual(
          [0, 1, 2].map((kind) => isFree(others, "lock", kind as 0 | 1 | 2)),
          [true, false, true],
        );
        client.cancel(id); // too late
        const unlink = { op: "unlink", path: file, name: "lock", sidecarPath } as const;
        assert.deepEqual(failure(await client.ask(unlink)), [EBUSY, "fcntl"]);
        grant(file);
        const { file: opened } = await asked;
        assert.ok(isFree(others, "lock", PENDING));
        for (const kind of [EXCLUSION, PENDING, USERS] as const) {
          mine.range("lock", kind, SHARED);
          assert.deepEqual(failure(await client.ask(unlink)), [EBUSY, "fcntl"]);
          mine.range("lock", kind, UNLOCK);
        }
        mine.range("other", USERS, SHARED);
        assert.equal((await client.ask(unlink)).errno, 0);
        assert.equal(fs.existsSync(file), false);
        opened!.close();
      });

      it("has 500 requests wait, each on a thread, and the loop does not notice", async () => {
        const file = bench.fifo("lock");
        const before = threadsOf(client.native.pid);
        const all = Array.from({ length: 500 }, () => client.ask({ op: "acquire", path: file, flags: O_RDONLY }));
        await until("all are in the kernel", () => client.phases.size === all.length);
        const { status } = await client.ask({ op: "status", path: "" });
        assert.equal(status!.length, all.length);
        assert.equal(new Set(status!.map(({ tid }) => tid)).size, all.length);
        assert.equal(threadsOf(client.native.pid) - before >= all.length, true);
        await fs.promises.readFile(__filename);
        grant(file);
        for (const { file: opened } of await Promise.all(all)) assert.equal(opened!.close(), 0);
        await until("the threads are gone", () => threadsOf(client.native.pid) <= before);
      });

      it("makes a sidecar with its mode, whatever the umask, and opens what is there", async () => {
        const mask = process.umask(0o077);
        try {
          const request = { op: "sidecar", path: bench.at("a/b/sidecar"), mode: 0o666 } as const;
          const files = await Promise.all(Array.from({ length: 20 }, () => client.open(request)));
          assert.equal(fs.statSync(request.path).mode & 0o7777, 0o666);
          assert.equal(fs.statSync(bench.at("a/b")).mode & 0o7777, isRoot ? 0o1777 : 0o700);
          assert.deepEqual(fs.readdirSync(bench.at("a/b")), ["sidecar"]);
          assert.equal(files[0]!.range("x", USERS, EXCLUSIVE), 0);
          for (const file of files.slice(1)) assert.equal(file.range("x", USERS, SHARED), -EAGAIN); // one file
        } finally {
          process.umask(mask);
        }
      });

      it("takes no other kind of file for a sidecar", async () => {
        const ask = async (name: string): Promise<[number, string]> =>
          failure(await client.ask({ op: "sidecar", path: bench.at(name), mode: 0o600 }));
        bench.fifo("fifo");
        assert.deepEqual(await ask("fifo"), [EPERM, "fstat"]);
        fs.symlinkSync("target", bench.at("link"));
        assert.deepEqual(await ask("link"), [ELOOP, "open"]);
        assert.deepEqual(await ask("fifo/below"), [ENOTDIR, "open"]);
        if (!isRoot) return;
        fs.mkdirSync(bench.at("anothers"));
        fs.chownSync(bench.at("anothers"), 12345, 12345);
        assert.deepEqual(await ask("anothers/sidecar"), [EPERM, "fstat"]);
        assert.deepEqual(fs.readdirSync(bench.at("anothers")), []);
      });

      if (isRoot) {
        it("takes no directory for a sidecar that somebody else can exchange by a link", async () => {
          fs.mkdirSync(bench.at("ours"));
          fs.symlinkSync("ours", bench.at("link"));
          (await client.open({ op: "sidecar", path: bench.at("link/sidecar"), mode: 0o600 })).close();
          fs.lchownSync(bench.at("link"), 12345, 12345);
          const refused = await client.ask({ op: "sidecar", path: bench.at("link/sidecar"), mode: 0o600 });
          assert.deepEqual(failure(refused), [EPERM, "fstat"]);
        });

        it("takes a sidecar over, with its ranges, from who was there before the domain's own", async () => {
          const before = await client.open({ op: "sidecar", path: bench.at("run/sidecar"), mode: 0o600 });
          const { ino } = fs.statSync(bench.at("run/sidecar"));
          fs.chownSync(bench.at("run/sidecar"), 12345, 12345);
          assert.equal(before.range("x", EXCLUSION, EXCLUSIVE), 0);
          const request = { op: "sidecar", path: bench.at("run/sidecar"), mode: 0o640, uid: 0, gid: 34 } as const;
          const ours = await client.open(request);
          const { uid, gid, mode, ...now } = fs.statSync(request.path);
          assert.deepEqual([uid, gid, mode, now.ino], [0, 34, 0o100640, ino]);
          assert.equal(ours.range("x", EXCLUSION, SHARED), -EAGAIN);
          fs.chownSync(request.path, 12345, 12345);
          fs.linkSync(request.path, bench.at("elsewhere"));
          assert.deepEqual(failure(await client.ask(request)), [EPERM, "fstat"]);
          fs.unlinkSync(bench.at("elsewhere"));
          // the domain's owner keeps his
          (await client.open({ ...request, uid: 12345 })).close();
          assert.equal(fs.statSync(request.path).uid, 12345);
        });

        it("gives files to whom it is told", async () => {
          (await client.open({ op: "sidecar", path: bench.at("s"), mode: 0o660, uid: 12, gid: 34 })).close();
          await client.ask({ op: "create", path: bench.at("c"), mode: 0o6, gid: 34 });
          const owners = ["s", "c"]
            .map((name) => fs.statSync(bench.at(name)))
            .map(({ mode, uid, gid }) => [mode, uid, gid]);
          assert.deepEqual(owners, [
            [0o100660, 12, 34],
            [0o100006, 0, 34],
          ]);
        });
      }

      it("puts the cluster's name back, and what somebody who died has left away", async () => {
        const [namePath, nameLockPath] = [bench.at("cluster_name"), bench.at("run/name")];
        const join = { op: "mkdir", namePath, nameLockPath } as const;
        const restore = { op: "restore", path: "", namePath, nameLockPath } as const;
        assert.equal((await client.ask(restore)).value, 0); // there never was one
        fs.writeFileSync(namePath, "lab\n");
        assert.equal((await client.ask({ ...join, path: bench.at("a") })).errno, 0);
        assert.equal(fs.readFileSync(namePath, "utf8"), "lab");
        assert.deepEqual(failure(await client.ask({ ...join, path: bench.at("a") })), [EEXIST, "mkdir"]);
        assert.equal(fs.readFileSync(namePath, "utf8"), "lab");
        assert.equal(fs.readFileSync(nameLockPath, "utf8"), "");

        fs.writeFileSync(nameLockPath, "lost");
        fs.writeFileSync(namePath, "\0");
        assert.equal((await client.ask(restore)).value, 1);
        assert.equal(fs.readFileSync(namePath, "utf8"), "lost");
        assert.equal((await client.ask(restore)).value, 0);

        fs.writeFileSync(nameLockPath, "lost");
        fs.writeFileSync(namePath, "\0");
        assert.equal((await client.ask({ ...join, path: bench.at("b") })).errno, 0);
        assert.equal(fs.readFileSync(namePath, "utf8"), "lost");

        // a name that came since is the right one
        fs.writeFileSync(nameLockPath, "lost");
        fs.writeFileSync(namePath, "new");
        assert.equal((await client.ask(restore)).value, 0);
        assert.equal(fs.readFileSync(namePath, "utf8"), "new");
        assert.equal(fs.readFileSync(nameLockPath, "utf8"), "");

        const absent = await client.ask({ ...join, path: bench.at("c"), namePath: bench.at("absent") });
        assert.deepEqual(failure(absent), [ENOENT, "open"]);
        assert.equal(fs.existsSync(bench.at("c")), false);
      });

      it("changes the name for one at a time, and gives up waiting for its turn", async () => {
        const [namePath, nameLockPath] = [bench.at("cluster_name"), bench.at("run/name")];
        fs.writeFileSync(namePath, "lab");
        const join = { op: "mkdir", path: bench.at("d"), namePath, nameLockPath } as const;
        await client.ask({ ...join, path: bench.at("first") });
        const holder = execFileSync("sh", [
          "-c",
          `exec 9<>${nameLockPath}; flock 9; { sleep 30 & } >/dev/null 2>&1; echo $!`,
        ]);
        const asked = client.ask(join);
        await sleep(50);
        assert.equal(fs.existsSync(bench.at("d")), false);
        client.cancel(client.last);
        assert.deepEqual(failure(await asked), [ECANCELED, "flock"]);
        const patient = client.ask(join);
        process.kill(Number(holder), "SIGKILL");
        assert.equal((await patient).errno, 0);
        assert.equal(fs.readFileSync(namePath, "utf8"), "lab");
      });

      it("a cancelled mkdir leaves nothing behind, or was told to have succeeded", async () => {
        for (let round = 0; round < 50; round++) {
          const asked = client.ask({ op: "mkdir", path: bench.at(`d${round}`) });
          client.cancel(client.last);
          const { errno } = await asked;
          assert.ok(errno === 0 || errno === -ECANCELED, `${errno}`);
          assert.equal(fs.existsSync(bench.at(`d${round}`)), errno === 0);
        }
      });

      it("closes what arrives and nobody takes", async () => {
        const file = bench.fifo("lock");
        for (let i = 0; i < 10; i++) void client.ask({ op: "acquire", path: file, flags: O_RDONLY });
        await until("all are in the kernel", () => client.phases.size === 10);
        const write = fs.openSync(file, O_WRONLY | O_NONBLOCK);
        client.native.close();
        await until("no reader is left", () => {
          try {
            fs.writeSync(write, "x");
            return false;
          } catch (error) {
            return (error as NodeJS.ErrnoException).code === "EPIPE";
          }
        });
        fs.closeSync(write);
        assert.throws(() => {
          client.native.request(1, { op: "status", path: "" });
        }, /closed/);
        client.native.cancel(1);
        client.native.setRef(true);
      });

      it("takes no nonsense", () => {
        const { native } = client;
        const request = (value: unknown): void => {
          native.request(1, value as never);
        };
        assert.throws(() => {
          request(undefined);
        });
        assert.throws(() => {
          request({ op: "format", path: "/" });
        }, /cannot format/);
        assert.throws(() => {
          request({ op: "stat", path: 5 });
        }, TypeError);
        assert.throws(() => {
          request({ op: "stat", path: "a\0b" });
        }, RangeError);
        assert.throws(() => {
          request({ op: "stat", path: "x".repeat(4097) });
        }, RangeError);
        assert.throws(() => {
          request({ op: "acquire", path: "/", range: 3 });
        }, RangeError);
        assert.throws(() => {
          request({ op: "acquire", path: "/", sidecar: {} });
        }, TypeError);
        assert.throws(() => {
          request({ op: "acquire", path: "/", sidecar: null });
        }, TypeError);
        const closes = {
          op: "stat",
          get path() {
            native.close();
            return "/";
          },
        };
        assert.throws(() => {
          request(closes);
        }, /closed/);
        const { constructor } = native as unknown as { constructor: new (...args: unknown[]) => unknown };
        assert.throws(() => new constructor(), TypeError);
      });

      it("leaves no descriptor behind", async () => {
        const before = fdsOf("self").length;
        const own = await bench.sidecar(client);
        const file = await client.open({
          op: "acquire",
          path: bench.at("lock"),
          name: "lock",
          flags: O_RDWR | O_CREAT,
          range: EXCLUSIVE,
          sidecar: own,
        });
        file.close();
        own.close();
        assert.equal(fdsOf("self").length, before);
        client.native.close();
        await until("all are closed", () => fdsOf("self").length === before - 2);
      });
    });
  }
});
