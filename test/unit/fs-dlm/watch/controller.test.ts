import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";

import { controller } from "../../../../lib/fs-dlm/watch/controller";
import { type NativeAddon, native, useAddon } from "../../../../lib/native";

import { FakeAddon } from "./fake-addon";
import { openDescriptors, sleep, uncaughtDuring, until } from "./support";

const [EAGAIN, EMFILE, EACCES, ECONNREFUSED] = [-11, -24, -13, -111];

describe("the watch over dlm_controld", () => {
  let real: NativeAddon;
  let fake: FakeAddon;
  let told: string[];
  let served = 0;
  const ends: (() => void)[] = [];
  const listen = (who: string, then: () => void = () => undefined): void => {
    ends.push(
      controller.add(() => {
        told.push(who);
        then();
      }),
    );
  };

  /** A daemon to connect to: the addon's real connection leads to it. */
  async function serve(onConnection: (socket: net.Socket) => void = () => undefined): Promise<{
    connect: () => number;
    die: () => Promise<void>;
  }> {
    // Node 20 would fill the name up
    const name = `clusterlock-watch-${process.pid}-${Date.now()}-${served++}`.padEnd(107, "\0");
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve));
    return {
      connect: () => real.connectAbstract(name),
      die: async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        for (const socket of sockets) socket.destroy();
        await closed;
      },
    };
  }

  beforeEach(() => {
    real = native();
    fake = new FakeAddon();
    useAddon(fake.addon);
    told = [];
  });
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    useAddon(real);
  });

  for (const [errno, name] of [
    [EAGAIN, "too busy to answer"],
    [EMFILE, "not to be asked for want of descriptors"],
  ] as const) {
    it(`asks again while it is ${name}, and then sees it go`, async () => {
      const daemon = await serve();
      fake.answers = [errno, errno, daemon.connect];
      listen("first");
      await until("it is connected", () => fake.knocks >= 3);
      await sleep(150);
      assert.deepEqual([controller.gone, told, fake.knocks], [false, [], 3]);
      await daemon.die();
      await until("it is told", () => told.length > 0);
      assert.equal(controller.gone, true);
    });
  }

  for (const [errno, name] of [
    [ECONNREFUSED, "there is none"],
    [EACCES, "it may not ask"],
  ] as const) {
    it(`leaves it be where ${name}`, async () => {
      fake.answers = [errno];
      listen("first");
      await sleep(250);
      assert.deepEqual([fake.knocks, told, controller.gone], [1, [], false]);
      listen("second");
      assert.equal(fake.knocks, 2);
    });
  }

  it("leaves it be when there turns out to be none", async () => {
    fake.answers = [EAGAIN, ECONNREFUSED];
    listen("first");
    await sleep(350);
    assert.deepEqual([fake.knocks, told], [2, []]);
  });

  it("tells all others when one throws, and goes on asking", async () => {
    const daemon = await serve();
    fake.answers = [daemon.connect, ECONNREFUSED];
    listen("first", () => {
      throw new Error("from the listener");
    });
    listen("second");
    const thrown = await uncaughtDuring(async () => {
      await sleep(120);
      await daemon.die();
      await until("both are told", () => told.length === 2);
      const knocks = fake.knocks;
      await until("it asks again", () => fake.knocks > knocks);
    });
    assert.deepEqual([told, thrown], [["first", "second"], ["from the listener"]]);
  });

  it("sees it come back, and go again", async () => {
    const [first, second] = [await serve(), await serve()];
    fake.answers = [first.connect, ECONNREFUSED];
    listen("first");
    await first.die();
    await until("it is told", () => told.length === 1);
    fake.answers = [second.connect, ECONNREFUSED];
    await until("it is back", () => !controller.gone);
    await second.die();
    await until("it is told again", () => told.length === 2);
  });

  it("does not storm one that always hangs up", async () => {
    const daemon = await serve((socket) => socket.destroy());
    fake.answers = [daemon.connect];
    listen("first");
    await sleep(450);
    assert.ok(fake.knocks > 1 && fake.knocks <= 6, `${fake.knocks} knocks`);
    assert.deepEqual(told, []);
    await daemon.die();
  });

  it("leaves nothing open, also when those who are told leave", async () => {
    const daemon = await serve();
    const open = openDescriptors();
    fake.answers = [daemon.connect, ECONNREFUSED];
    for (const who of ["first", "second"]) {
      listen(who, () => {
        for (const end of ends) end();
      });
    }
    await daemon.die();
    await until("one is told", () => told.length > 0);
    const knocks = fake.knocks;
    await sleep(250);
    assert.deepEqual([told, fake.knocks], [["first"], knocks]);
    assert.ok(openDescriptors() <= open);
  });

  it("closes a descriptor that no socket can be made of", async () => {
    fake.answers = [() => fs.openSync("/dev/null", "r"), ECONNREFUSED];
    const open = openDescriptors();
    listen("first");
    assert.equal(openDescriptors(), open);
    await until("it asks again", () => fake.knocks > 1);
  });
});
