// Answers the kernel, which asks at the start and at the end of a lockspace what the cluster says. This cluster is one
// node and always says yes.
//
// The device /dev/dlm-monitor is never opened, unlike by dlm_controld: when its last opener dies, the kernel stops every
// lockspace, and processes that hold locks can then neither go on nor end. That keeps a node that nobody controls from
// locking past the others. Here there are no others: without a controller locks work as before, and only who creates or
// leaves a lockspace waits for the next one.
//
// Only a lockspace that begins is started, and none is ever stopped: both wake the lockspace's recovery thread, and that
// of one that ends may be gone, which the kernel does not check (member.c, dlm_ls_start() and dlm_ls_stop()).

import { crc32 } from "node:zlib";

import type { NativeUevent } from "../../native";
import type { Configuration } from "./configuration";
import { messageOf } from "./errors";
import type { Tree } from "./tree";

const LOCKSPACES = "/sys/kernel/dlm";
const EIO = 5;
const EAGAIN = 11;

/** The lockspaces of this machine, those that begin or end included. */
export function lockspaces(tree: Tree): string[] {
  return tree.list(LOCKSPACES);
}

export class Controller {
  readonly #tree: Tree;
  readonly #configuration: Configuration;
  readonly #log: (line: string) => void;

  constructor(tree: Tree, configuration: Configuration, log: (line: string) => void) {
    this.#tree = tree;
    this.#configuration = configuration;
    this.#log = log;
  }

  onUevents(events: readonly NativeUevent[], overflowed: boolean): void {
    for (const { action, lockspace } of events) {
      // what is not so any more was said of a former lockspace of that name, or has been found by recheck()
      if (action === "online" && this.#isNew(lockspace)) this.#welcome(lockspace);
      else if (action === "offline" && !this.isSettled(lockspace)) this.#dismiss(lockspace);
      else if (action === "remove") this.#forgetGone();
    }
    if (overflowed) {
      this.#log("announcements were lost");
      this.recheck();
    }
  }

  /** Answers whoever waits although nobody heard the question: a former controller died, or announcements were lost. */
  recheck(): void {
    this.#forgetGone();
    for (const lockspace of lockspaces(this.#tree)) {
      if (this.isSettled(lockspace)) continue;
      if (this.#isNew(lockspace)) {
        this.#welcome(lockspace);
        continue;
      }
      // It ends; or a file system owns it, and it waits for nothing; or its start was cut off halfway, which is what its
      // creator is told unless it got as far as to run. Who ends does not care for the answer.
      const answer = this.#runs(lockspace) ? 0 : -EAGAIN;
      this.#log(`${lockspace} is found without a device: ${answer}`);
      this.#answer(lockspace, answer);
    }
  }

  /** It has its device: it has begun, has not begun to end, and waits for nothing. */
  isSettled(lockspace: string): boolean {
    return this.#tree.exists(`/sys/class/misc/${inSysfs(`dlm_${lockspace}`)}`);
  }

  #welcome(lockspace: string): void {
    let answer = 0;
    try {
      if (lockspace.includes("/")) throw new Error("configfs has no place for such a name");
      this.#configuration.addSpace(lockspace);
      // from here on it is no longer new
      this.#set(lockspace, "id", String(crc32(`dlm:ls:${lockspace}`) || 1));
      this.#set(lockspace, "control", "1");
      this.#log(`${lockspace} joins`);
    } catch (error) {
      answer = (error as NodeJS.ErrnoException).errno ?? -EIO;
      this.#log(`${lockspace} cannot join: ${messageOf(error)}`);
    }
    this.#answer(lockspace, answer);
  }

  #dismiss(lockspace: string): void {
    this.#log(`${lockspace} leaves`);
    try {
      this.#configuration.removeSpace(lockspace);
    } catch (error) {
      this.#log(`${lockspace}: ${messageOf(error)}`);
    }
    if (!this.#isNew(lockspace)) this.#answer(lockspace, 0);
  }

  #answer(lockspace: string, answer: number): void {
    try {
      if (this.#isThere(lockspace)) this.#set(lockspace, "event_done", String(answer));
    } catch (error) {
      this.#log(`${lockspace}: no answer was possible: ${messageOf(error)}`);
    }
  }

  #forgetGone(): void {
    for (const space of this.#configuration.spaces()) {
      if (!this.#isThere(space)) this.#configuration.removeSpace(space);
    }
  }

  #set(lockspace: string, attribute: string, value: string): void {
    this.#tree.write(`${place(lockspace)}/${attribute}`, value);
  }

  #isThere(lockspace: string): boolean {
    return this.#tree.exists(place(lockspace));
  }

  /** It waits to join, and nobody has begun to answer. */
  #isNew(lockspace: string): boolean {
    return this.#tree.read(`${place(lockspace)}/id`) === "0";
  }

  #runs(lockspace: string): boolean {
    const DONE = 0x40;
    return (parseInt(this.#tree.read(`${place(lockspace)}/recover_status`) ?? "0", 16) & DONE) !== 0;
  }
}

function place(lockspace: string): string {
  return `${LOCKSPACES}/${inSysfs(lockspace)}`;
}

function inSysfs(name: string): string {
  return name.replaceAll("/", "!");
}
