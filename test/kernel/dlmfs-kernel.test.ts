// What ocfs2_dlmfs does, without the library: what it relies on and what it has to survive. One node is enough: two mounts
// are two owners. docs/kernel-notes.md has each with its source.

import assert from "node:assert/strict";
import { constants } from "node:fs";

import type { Cluster } from "../../lib/lab";

import { shareCluster } from "./support/cluster";
import { kernelComplaints } from "./support/kernel-log";
import type { Call } from "./dlmfs/owner";
import { Owner, buildProgram } from "./dlmfs/owner";
import { join, leave, seen, sh, sleep } from "./dlmfs/nodes";

const { O_RDONLY: PR, O_RDWR: EX, O_WRONLY, O_CREAT, O_NONBLOCK, O_TRUNC, O_APPEND, O_EXCL, O_DIRECT } = constants;
const O_PATH = 0o10000000;
const POLLIN = 0x001;
const DOMAIN = "experiment";

// long enough for an open that is not made to wait
const SOON = 5000;
// long enough to believe that something waits
const WAITS = 700;

describe("ocfs2_dlmfs: one node, two mounts", function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let a: Owner;
  let b: Owner;
  const A = (lock: string): string => `/dlm/${DOMAIN}/${lock}`;
  const B = (lock: string): string => `/dlm2/${DOMAIN}/${lock}`;
  const script = async (text: string): Promise<string> => sh(cluster, 1, text);

  before(async function () {
    this.timeout(300_000);
    buildProgram("owner");
    cluster = await shareCluster({ nodes: 1, stack: "o2cb", cpus: 2 });
    await script("mkdir -p /dlm2; mount -t ocfs2_dlmfs none /dlm2");
  });
  after(async () => {
    await script("umount /dlm2; rmdir /dlm2");
    assert.deepEqual(await kernelComplaints(cluster, 1), []);
  });
  beforeEach(async () => {
    await join(cluster, 1, DOMAIN);
    await script(`mkdir /dlm2/${DOMAIN}`);
    a = new Owner(cluster, 1);
    b = new Owner(cluster, 1);
  });
  afterEach(async () => {
    await Promise.all([a.end(), b.end()]);
    await leave(cluster, 1, DOMAIN, "/dlm2");
    await leave(cluster, 1, DOMAIN);
  });

  /** It waits, and can only be asleep in the kernel. */
  async function sleeps(call: Call): Promise<void> {
    assert.equal(await call.ends(WAITS), false, "it has not waited");
    assert.match(await script(`cat /proc/${await call.tid}/wchan`), /^user_dlm_/);
    assert.match(await script(`sed 's/.*) //; s/ .*//' /proc/${await call.tid}/stat`), /^D$/);
  }

  it("two mounts are two owners: EX excludes, the holder is told, the value goes with the lock", async () => {
    const held = await a.opened(A("x"), EX | O_CREAT);
    await a.setValue(held, "from a");
    assert.equal(await a.do("poll", held, 0), 0);
    const waiter = b.open(B("x"), EX | O_CREAT);
    await sleeps(waiter);
    assert.equal(await a.do("poll", held, 0), POLLIN);
    await a.do("close", held);
    const granted = await waiter.value();
    assert.equal(await b.value(granted as number), "from a");
  });

  it("within one mount nothing excludes: EX and EX and PR are granted at once, with one value block", async () => {
    const first = await a.opened(A("x"), EX | O_CREAT);
    const second = await b.opened(A("x"), EX);
    const reader = await b.opened(A("x"), PR);
    await a.setValue(first, "seen by all");
    assert.deepEqual([await b.value(second), await b.value(reader)], ["seen by all", "seen by all"]);
  });

  describe("the value block", () => {
    it("a write at an offset is stored at byte 0, and a second write overwrites the first", async () => {
      const fd = await a.opened(A("x"), EX | O_CREAT);
      await a.setValue(fd, "AAAAAAAAAAAAAAAA");
      assert.equal(await a.do("pwrite", fd, 10, Buffer.from("BB").toString("hex")), 2);
      assert.equal(await a.value(fd), "BBAAAAAAAAAAAAAA");
      assert.equal(await a.do("write", fd, Buffer.from("first").toString("hex")), 5);
      assert.equal(await a.do("write", fd, Buffer.from("2nd").toString("hex")), 3);
      assert.equal(await a.value(fd), "2ndstAAAAAAAAAAA");
    });

    it("has 64 bytes, whatever is written, truncated or read", async () => {
      const fd = await a.opened(A("x"), EX | O_CREAT);
      // a longer write is cut, the rest is refused
      assert.equal(await a.do("pwrite", fd, 0, "41".repeat(100)), 64);
      assert.equal(await a.do("pwrite", fd, 64, "42"), "ENOSPC");
      assert.equal(await a.do("pwrite", fd, 60, "42".repeat(10)), 4);
      assert.equal(await a.value(fd), `BBBB${"A".repeat(60)}`);
      assert.equal(await a.do("ftruncate", fd, 3), 0);
      assert.equal(await a.do("ftruncate", fd, 1000), 0);
      assert.equal(await a.do("truncate", A("x"), 0), 0);
      await a.do("close", await a.opened(A("x"), EX | O_TRUNC));
      const read = a.call("pread", fd, 100, 60);
      assert.equal(await read.value(), 4);
      assert.equal(await a.do("pread", fd, 64, 64), 0);
      assert.equal(await a.value(fd), `BBBB${"A".repeat(60)}`);
      assert.equal(await script(`stat -c %s ${A("x")}`), "64");
      // O_APPEND is taken off the descriptor
      const appender = await a.opened(A("x"), EX | O_APPEND);
      assert.equal((Number(await a.do("getfl", appender)) & O_APPEND) >>> 0, 0);
    });

    it("is neither written under PR nor read under O_WRONLY, which is EX", async () => {
      const reader = await a.opened(A("x"), PR | O_CREAT);
      assert.equal(await a.do("pwrite", reader, 0, "41"), "EBADF");
      await a.do("close", reader);
      const writer = await a.opened(A("x"), O_WRONLY);
      assert.equal(await a.do("pread", writer, 64, 0), "EBADF");
      assert.equal(await a.do("pwrite", writer, 0, "41"), 1);
      const waiter = b.open(B("x"), PR | O_CREAT);
      await sleeps(waiter);
      await a.do("close", writer);
      assert.equal(await b.value((await waiter.value()) as number), "A");
    });

    it("of a lock that all have unlinked is kept for some seconds, then zero", async () => {
      const fd = await a.opened(A("x"), EX | O_CREAT);
      await a.setValue(fd, "last");
      await a.do("close", fd);
      await a.do("unlink", A("x"));
      const again = await a.opened(A("x"), EX | O_CREAT);
      assert.equal(await a.value(again), "last");
      await a.do("close", again);
      await a.do("unlink", A("x"));
      const deadline = Date.now() + 60_000;
      while ((await seen(cluster, 1, DOMAIN, "x")) !== null && Date.now() < deadline) await sleep(500);
      const late = await a.opened(A("x"), EX | O_CREAT);
      assert.equal(await a.value(late), "");
    });

    it("is gone with the domain", async () => {
      const fd = await a.opened(A("x"), EX | O_CREAT);
      await a.setValue(fd, "old");
      await a.do("close", fd);
      await leave(cluster, 1, DOMAIN, "/dlm2");
      await leave(cluster, 1, DOMAIN);
      await join(cluster, 1, DOMAIN);
      await script(`mkdir /dlm2/${DOMAIN}`);
      assert.equal(await a.value(await a.opened(A("x"), PR | O_CREAT)), "");
    });
  });

  describe("O_NONBLOCK", () => {
    it("fails with ETXTBSY for a lock that another owner merely caches, tells it nothing, and succeeds after its unlink", async () => {
      await a.do("close", await a.opened(A("x"), EX | O_CREAT));
      for (let i = 0; i < 5; i++) {
        assert.equal(await b.open(B("x"), EX | O_CREAT | O_NONBLOCK).value(), "ETXTBSY");
        await sleep(100);
      }
      const held = await a.opened(A("x"), EX);
      assert.equal(await b.open(B("x"), PR | O_NONBLOCK).value(), "ETXTBSY");
      assert.equal(await a.do("poll", held, 200), 0);
      await a.do("close", held);
      await a.do("unlink", A("x"));
      assert.ok(typeof (await b.open(B("x"), EX | O_NONBLOCK).value()) === "number");
    });

    it("after a blocking request of another owner, which asks for the cached lock, succeeds", async () => {
      await a.do("close", await a.opened(A("x"), EX | O_CREAT));
      await b.do("close", await b.opened(B("x"), EX | O_CREAT));
      assert.equal(await a.open(A("x"), EX | O_NONBLOCK).value(), "ETXTBSY");
      assert.ok(typeof (await b.open(B("x"), EX | O_NONBLOCK).value()) === "number");
    });

    it("sleeps, unkillably, while another owner wants what is held here, and so does any open by the holder", async () => {
      const held = await a.opened(A("x"), EX | O_CREAT);
      const remote = b.open(B("x"), EX | O_CREAT);
      await sleeps(remote);
      const trying = a.open(A("x"), EX | O_NONBLOCK);
      await sleeps(trying);
      // a program of its own, so that it can be killed
      const other = new Owner(cluster, 1);
      const nested = other.open(A("x"), PR);
      await sleeps(nested);
      const pid = await script(`sed -n 's/^Tgid:\\t//p' /proc/${await nested.tid}/status`);
      await script(`kill -KILL ${pid}`);
      await sleep(WAITS);
      assert.match(await script(`cat /proc/${pid}/task/${await nested.tid}/wchan`), /^user_dlm_/);
      // only the holder's close ends it: first to the other owner
      await a.do("close", held);
      const granted = await remote.value();
      await other.process.exit;
      await b.do("close", granted);
      // which takes away what had made it sleep, so that it fails as a trylock does
      assert.equal(await trying.value(), "ETXTBSY");
    });
  });

  it("unlink of a lock with a pending open sleeps, and with it every create in the directory; the open then fails", async () => {
    const held = await a.opened(A("x"), EX | O_CREAT);
    const opener = b.open(B("x"), EX | O_CREAT);
    await sleeps(opener);
    const remover = b.call("unlink", B("x"));
    await sleeps(remover);
    const creator = b.open(B("y"), EX | O_CREAT);
    const lister = b.call("mknod", B("z"), 0o600);
    assert.deepEqual([await creator.ends(WAITS), await lister.ends(WAITS)], [false, false]);
    await a.do("close", held);
    assert.equal(await opener.value(), "EAGAIN");
    assert.equal(await remover.value(), 0);
    assert.equal(typeof (await creator.value()), "number");
    assert.equal(await lister.value(), 0);
  });

  it("unlink of a held lock is EBUSY and does no harm; a lock that nobody holds is dropped", async () => {
    const held = await a.opened(A("x"), PR | O_CREAT);
    assert.equal(await a.do("unlink", A("x")), "EBUSY");
    await a.do("close", await a.opened(A("x"), EX));
    await a.do("close", held);
    assert.equal(await a.do("unlink", A("x")), 0);
    assert.equal((await seen(cluster, 1, DOMAIN, "x"))?.locks.length ?? 0, 0);
    assert.equal(await a.open(A("x"), PR).value(), "ENOENT");
  });

  describe("poll", () => {
    it("is level-triggered, for every descriptor of the lock, and epoll takes it in both modes", async () => {
      const held = await a.opened(A("x"), EX | O_CREAT);
      const second = await a.opened(A("x"), PR);
      const edge = a.call("epollet", held, 20_000);
      assert.equal(await a.do("epoll", held, 0), 0);
      const waiter = b.open(B("x"), EX | O_CREAT);
      assert.equal(Number(await edge.value()) & POLLIN, POLLIN);
      for (const fd of [held, second]) {
        assert.equal(await a.do("poll", fd, SOON), POLLIN);
        assert.equal(await a.do("poll", fd, 0), POLLIN);
        // asked for after the fact
        assert.equal(Number(await a.do("epoll", fd, SOON)) & POLLIN, POLLIN);
        assert.equal(Number(await a.do("epollet", fd, SOON)) & POLLIN, POLLIN);
      }
      await a.do("close", second);
      assert.equal(await a.do("poll", held, 0), POLLIN);
      await a.do("close", held);
      const granted = (await waiter.value()) as number;
      assert.equal(await b.do("poll", granted, 0), 0);
    });

    it("of a PR holder tells of an owner that wants EX, and not of one that wants PR", async () => {
      const reader = await a.opened(A("x"), PR | O_CREAT);
      const other = await b.opened(B("x"), PR | O_CREAT);
      assert.equal(await a.do("poll", reader, 300), 0);
      await b.do("close", other);
      const writer = b.open(B("x"), EX);
      assert.equal(await a.do("poll", reader, SOON), POLLIN);
      await a.do("close", reader);
      await writer.value();
    });

    it("of a PR holder whose node caches EX may tell of a PR request, which is then granted: told in vain", async () => {
      await a.do("close", await a.opened(A("x"), EX | O_CREAT));
      const reader = await a.opened(A("x"), PR);
      const told = a.call("poll", reader, 3000);
      const other = await b.opened(B("x"), PR | O_CREAT);
      // whether the moment was seen is chance; what holds is that it passes with nobody closing anything
      const result = await told.value();
      assert.ok(result === 0 || result === POLLIN, String(result));
      await sleep(100);
      assert.equal(await a.do("poll", reader, 0), 0);
      assert.equal(await b.do("poll", other, 0), 0);
    });

    it("goes on telling after the waiter's process was killed, whose request stays and is granted", async () => {
      const held = await a.opened(A("x"), EX | O_CREAT);
      const other = new Owner(cluster, 1);
      const waiter = other.open(B("x"), EX | O_CREAT);
      await sleeps(waiter);
      const pid = await script(`sed -n 's/^Tgid:\\t//p' /proc/${await waiter.tid}/status`);
      await script(`kill -KILL ${pid}`);
      await sleep(WAITS);
      assert.equal(await a.do("poll", held, 0), POLLIN);
      await a.do("close", held);
      await other.process.exit;
      // nobody holds it, and the other mount has it cached
      assert.equal(await a.open(A("x"), EX | O_NONBLOCK).value(), "ETXTBSY");
      await a.do("close", await a.opened(A("x"), EX));
    });
  });

  describe("lock files", () => {
    it("have names of 1 to 31 bytes, not beginning with $; domains of 1 to 63", async () => {
      const name = "n".repeat(31);
      await a.do("close", await a.opened(A(name), EX | O_CREAT));
      assert.equal(await a.open(A(`${name}n`), EX | O_CREAT).value(), "EINVAL");
      assert.equal(await a.open(A(`${name}n`), EX).value(), "ENOENT");
      assert.equal(await a.open(A("$x"), EX | O_CREAT).value(), "EINVAL");
      await a.do("close", await a.opened(A("x$"), EX | O_CREAT));
      await a.do("close", await a.opened(A(".x"), EX | O_CREAT));
      const domain = "d".repeat(63);
      assert.equal(await a.do("mkdir", `/dlm/${domain}`), 0);
      assert.equal(await a.do("rmdir", `/dlm/${domain}`), 0);
      assert.equal(await a.do("mkdir", `/dlm/${domain}d`), "EINVAL");
      assert.equal(await a.do("mkdir", A("sub")), "EPERM");
      assert.equal(await a.open("/dlm/file", EX | O_CREAT).value(), "EACCES");
      assert.equal(await a.do("rmdir", `/dlm/${DOMAIN}`), "ENOTEMPTY");
    });

    it("exist on their mount only; mknod makes one without taking the lock; O_EXCL is local", async () => {
      assert.equal(await a.do("mknod", A("x"), 0o640), 0);
      assert.equal(await seen(cluster, 1, DOMAIN, "x"), null);
      assert.equal(await b.open(B("x"), EX).value(), "ENOENT");
      const fd = await b.opened(B("x"), EX | O_CREAT | O_EXCL);
      await b.do("close", fd);
      assert.equal(await b.open(B("x"), EX | O_CREAT | O_EXCL).value(), "EEXIST");
      assert.equal(await a.do("mknod", A("x"), 0o640), "EEXIST");
    });

    it("have an owner and a mode, each mount its own, checked before the lock is asked for", async () => {
      await script(`mknod -m 640 ${A("x")} p 2>/dev/null; true`);
      assert.equal(await a.do("mknod", A("x"), 0o640), 0);
      await script(`chown 1234:1234 ${A("x")}; chmod 440 ${A("x")}`);
      assert.equal(await script(`stat -c '%a %u %g' ${A("x")}`), "440 1234 1234");
      const as = (flag: string): string =>
        `setpriv --reuid 1234 --clear-groups sh -c 'exec 3${flag}${A("x")}' 2>&1; true`;
      assert.match(await script(as("<>")), /Permission denied/);
      assert.equal(await script(as("<")), "");
      await b.do("close", await b.opened(B("x"), EX | O_CREAT));
      assert.equal(await script(`stat -c '%a %u' ${B("x")}`), "600 0");
    });

    it("cannot be linked, renamed, mapped, or opened for direct I/O, which takes the lock all the same", async () => {
      await a.do("close", await a.opened(A("x"), PR | O_CREAT));
      assert.equal(await a.do("link", A("x"), A("y")), "EPERM");
      assert.equal(await a.do("symlink", A("x"), A("y")), "EPERM");
      assert.equal(await a.do("rename", A("x"), A("y")), "EPERM");
      const locks = async (): Promise<string[]> =>
        (await seen(cluster, 1, DOMAIN, "x"))!.locks.map((line) => line.split(",")[2]!);
      assert.deepEqual(await locks(), ["3"]);
      assert.equal(await a.open(A("x"), EX | O_DIRECT).value(), "EINVAL");
      assert.deepEqual(await locks(), ["5"]);
      // and holds nothing
      await b.do("close", await b.opened(B("x"), EX | O_CREAT));
    });

    it("opened with O_PATH take no lock", async () => {
      await b.opened(B("x"), EX | O_CREAT);
      assert.equal(await a.do("mknod", A("x"), 0o600), 0);
      const fd = await a.opened(A("x"), O_PATH);
      assert.equal(await a.do("poll", fd, 0), 0x020);
      assert.equal(await a.do("flock", fd, 2 | 4), "EBADF");
    });

    it("take flock and OFD locks, which are local to the mount", async () => {
      const LOCK_EX_NB = 2 | 4;
      const F_WRLCK = 1;
      const [first, second] = [await a.opened(A("x"), EX | O_CREAT), await a.opened(A("x"), EX)];
      assert.equal(await a.do("flock", first, LOCK_EX_NB), 0);
      assert.equal(await a.do("flock", second, LOCK_EX_NB), "EAGAIN");
      assert.equal(await a.do("ofd", first, F_WRLCK), 0);
      assert.equal(await a.do("ofd", second, F_WRLCK), "EAGAIN");
      await a.do("close", first);
      assert.deepEqual([await a.do("flock", second, LOCK_EX_NB), await a.do("ofd", second, F_WRLCK)], [0, 0]);
    });
  });

  it("a lock is cached at its level after the close, goes down only by demand, and stays at NL", async () => {
    const levels = async (): Promise<string> =>
      (await seen(cluster, 1, DOMAIN, "x"))!.locks
        .map((line) => line.split(",")[2])
        .sort()
        .join();
    await a.do("close", await a.opened(A("x"), EX | O_CREAT));
    assert.equal(await levels(), "5");
    await b.do("close", await b.opened(B("x"), PR | O_CREAT));
    assert.equal(await levels(), "3,3");
    await b.do("close", await b.opened(B("x"), EX));
    assert.equal(await levels(), "0,5");
  });

  it("says what it can do: bast and stackglue", async () => {
    assert.equal(await script("cat /sys/module/ocfs2_dlmfs/parameters/capabilities"), "bast stackglue");
    assert.equal(await script("stat -f -c %t /dlm"), "76a9f425");
  });
});
