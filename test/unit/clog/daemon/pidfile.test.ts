import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import path from "node:path";

import { DaemonError } from "../../../../lib/clog/daemon/errors";
import { Pidfile } from "../../../../lib/clog/daemon/pidfile";
import { useAddon } from "../../../../lib/native";
import { NO_ADDON } from "../../support/no-addon";

describe("the daemon's pidfile", () => {
  let directory: string;
  let file: string;
  let lock: () => number;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clogd-"));
    file = path.join(directory, "clogd.pid");
    lock = () => 0;
    useAddon({ ...NO_ADDON, lockFile: () => lock() });
  });
  afterEach(() => {
    useAddon(undefined);
    rmSync(directory, { recursive: true });
  });

  it("has the process's number, for all to read, and goes with it", () => {
    writeFileSync(file, "123456789\nleft by somebody\n");
    const umask = process.umask(0o077);
    const pidfile = Pidfile.take(file);
    process.umask(umask);
    assert.equal(readFileSync(file, "utf8"), `${process.pid}\n`);
    assert.equal(statSync(file).mode & 0o777, 0o644);
    pidfile.remove();
    assert.equal(existsSync(file), false);
  });

  it("stays when it is another's by now", () => {
    const pidfile = Pidfile.take(file);
    rmSync(file);
    writeFileSync(file, "4711\n");
    pidfile.remove();
    assert.equal(readFileSync(file, "utf8"), "4711\n");
  });

  it("is not touched while another process has it locked, whose number is told", () => {
    writeFileSync(file, "4711\n");
    lock = () => -constants.errno.EAGAIN;
    assert.throws(
      () => Pidfile.take(file),
      (error: unknown) =>
        error instanceof DaemonError && error.code === "ERR_CLOGD_RUNNING" && /4711/.test(error.message),
    );
    assert.equal(readFileSync(file, "utf8"), "4711\n");
  });

  it("is made anew when its owner removes it just before the lock is had", () => {
    let times = 0;
    lock = () => {
      if (++times === 1) rmSync(file);
      return 0;
    };
    Pidfile.take(file).remove();
    assert.equal(times, 2);
  });

  it("does not follow a link", () => {
    const victim = path.join(directory, "victim");
    writeFileSync(victim, "precious");
    symlinkSync(victim, file);
    assert.throws(() => Pidfile.take(file), { code: "ELOOP" });
    assert.equal(readFileSync(victim, "utf8"), "precious");
  });
});
