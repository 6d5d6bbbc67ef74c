import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";

import { until } from "./double";
import { Bench, type Client, EXCLUSION, SHARED, failure, fdsOf, sleep } from "./opener-client";

const { EBADF, EPERM } = os.constants.errno;
const { O_CREAT, O_RDWR } = fs.constants;

describe("a file that an opener has opened", () => {
  const bench = Bench.on();
  let client: Client;
  beforeEach(async () => {
    client = await bench.start();
  });

  it("is watched once, and tells at once what was there before", async () => {
    const file = await client.open({ op: "acquire", path: bench.fifo("lock"), flags: O_RDWR });
    let calls = 0;
    const wake = (): void => {
      calls++;
    };
    assert.equal(file.readable(), false);
    file.watch(wake);
    await sleep(20);
    assert.equal(calls, 0);
    const other = fs.openSync(bench.at("lock"), O_RDWR);
    fs.writeSync(other, "x");
    await until("it is told", () => calls === 1);
    assert.equal(file.readable(), true);
    await sleep(20);
    assert.equal(calls, 1);
    file.watch(wake);
    await until("it is told again", () => calls === 2);
    file.watch(wake);
    file.watch(wake); // in bench.place of the one before
    file.unwatch();
    file.unwatch();
    await sleep(20);
    assert.equal(calls, 2);
    // from within the call, and closed from within the call
    await new Promise<void>((resolve) => {
      file.watch(() => {
        file.watch(() => {
          file.close();
          resolve();
        });
      });
    });
    fs.closeSync(other);
  });

  it("cannot be watched where nothing is ever said", async () => {
    const file = await client.open({ op: "acquire", path: bench.at("plain"), flags: O_RDWR | O_CREAT });
    assert.throws(
      () => {
        file.watch(() => undefined);
      },
      { errno: -EPERM, syscall: "uv_poll_init" },
    );
    assert.throws(() => {
      file.watch(undefined as never);
    }, TypeError);
    assert.equal(file.write(Buffer.from("x")), 1);
  });

  it("answers EBADF after it was closed", async () => {
    const file = await client.open({ op: "acquire", path: bench.at("plain"), flags: O_RDWR | O_CREAT });
    assert.ok(file.fd > 2);
    assert.equal(file.close(), 0);
    assert.equal(file.fd, -1);
    const calls = [
      file.close(),
      file.read(Buffer.alloc(1)),
      file.write(Buffer.alloc(1)),
      file.range("x", EXCLUSION, SHARED),
    ];
    assert.deepEqual(calls, Array(4).fill(-EBADF));
    assert.equal(file.readable(), false);
    assert.throws(
      () => {
        file.watch(() => undefined);
      },
      { errno: -EBADF },
    );
    file.unwatch();
    const asked = await client.ask({ op: "acquire", path: "/", name: "x", range: SHARED, sidecar: file });
    assert.deepEqual(failure(asked), [EBADF, "fcntl"]);
  });

  it("closes when nobody knows it any more", async () => {
    const before = fdsOf("self").length;
    const asked = { op: "acquire", path: bench.at("x"), flags: O_RDWR | O_CREAT } as const;
    assert.ok((await client.open(asked)).fd > 0);
    await until("it is collected", () => {
      globalThis.gc!();
      return fdsOf("self").length === before;
    });
  });
});
