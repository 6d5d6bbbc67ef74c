import { closeSync, openSync, readSync } from "node:fs";
import path from "node:path";

import bindings from "bindings";

/** Why opening or removing a lockspace failed. */
export interface NativeFailure {
  errno: number;
  syscall: string;
  path: string;
  holders: number[];
  /** The version of the kernel's interface, when that was the reason. */
  version?: string;
}

/** One open lockspace; csrc/napi/channel_wrap.cc. */
export interface NativeChannel {
  readonly minor: number;
  readonly created: boolean;
  readonly path: string;
  readonly version: string;
  start(
    records: ArrayBuffer,
    requests: ArrayBuffer,
    dispatch: (count: number, closed: boolean, errno: number) => void,
  ): void;
  /** Takes the first `count` requests from the buffer. */
  submit(count: number): void;
  setRef(on: boolean): void;
  /** `keepAlive`: the process waits for the end of it. */
  close(keepAlive: boolean): void;
}

/** The kernel's announcement of a step in a lockspace's life; csrc/dlm/uevent.h. */
export interface NativeUevent {
  action: string;
  lockspace: string;
  devpath: string;
}

/** Listens to the kernel's announcements; csrc/napi/uevents_wrap.cc. Does not keep the process alive, unless asked to. */
export interface NativeUevents {
  setRef(on: boolean): void;
  close(): void;
}

/**
 * A descriptor; csrc/napi/file_wrap.cc. It closes with its environment at the latest. No method ever waits; after close()
 * all of them answer -EBADF.
 */
export interface NativeFile {
  /** -1 after close(). */
  readonly fd: number;
  /** pread(2) from offset 0: the number of bytes, or a negative errno. */
  read(target: Uint8Array): number;
  /** pwrite(2) to offset 0: the number of bytes, or a negative errno. */
  write(source: Uint8Array): number;
  /** Whether poll(2) says POLLIN just now. */
  readable(): boolean;
  /** Calls once, when it is readable. Does not keep the process alive, unless asked to. Throws what cannot be polled. */
  watch(callback: () => void): void;
  unwatch(): void;
  setRef(on: boolean): void;
  /**
   * Takes or gives back what `name` stands for in a sidecar file (F_OFD_SETLK). Kind: 0 exclusion, 1 pending, 2 users;
   * type: 0 unlock, 1 shared, 2 exclusive. 0, or a negative errno: -EAGAIN when somebody else has it.
   */
  range(name: string, kind: 0 | 1 | 2, type: 0 | 1 | 2): number;
  /** 0, or a negative errno. */
  close(): number;
}

/** What an opener does; csrc/dlmfs/. */
export interface NativeOpenerRequest {
  op: "acquire" | "sidecar" | "mkdir" | "restore" | "rmdir" | "unlink" | "create" | "list" | "stat" | "status";
  path: string;
  name?: string;
  sidecarPath?: string;
  /** A file that is open for writing while `path` is being opened. */
  gatePath?: string;
  /** The file with the cluster's name, when it has to be empty during a mkdir. */
  namePath?: string;
  nameLockPath?: string;
  /** open(2)'s. */
  flags?: number;
  mode?: number;
  /** -1 leaves it as it is. */
  uid?: number;
  gid?: number;
  /**
   * acquire: what to take of `name`'s exclusion before the open: 0 nothing, 1 shared, 2 exclusive. unlink: not 0 when the
   * exclusion is the caller's; others of the node are then not asked whether they use the name.
   */
  range?: 0 | 1 | 2;
  /** The open sidecar file that is to have the range. */
  sidecar?: NativeFile;
}

/** A request in an opener. */
export interface NativeOpenerStatus {
  id: number;
  /** "local": waits for others of this node; "kernel": in the system call. */
  phase: "local" | "kernel";
  tid: number;
  /** Milliseconds in that phase. */
  ms: number;
}

export interface NativeOpenerEvent {
  id: number;
  /** "phase": an acquire waits for nobody of this node any more, and is about to open. */
  kind: "phase" | "done";
  /** 0 or negative. */
  errno: number;
  syscall: string;
  file?: NativeFile;
  names?: string[];
  stat?: { dev: number; ino: number; mode: number; uid: number; gid: number };
  status?: NativeOpenerStatus[];
  /** create: 1 if it made the file; restore: 1 if there was something to restore. */
  value?: number;
}

/** The helper that does what can sleep on an ocfs2_dlmfs mount; csrc/napi/opener_wrap.cc. */
export interface NativeOpener {
  /** Of isolation "thread": this process. */
  readonly pid: number;
  /** Never waits. Each request has an id of its own, and ends in one event of kind "done" unless the opener ends first. */
  request(id: number, request: NativeOpenerRequest): void;
  /** Ends a wait for others of this node with ECANCELED. What is in the kernel goes on, and its end is told. */
  cancel(id: number): void;
  setRef(on: boolean): void;
  close(): void;
}

/** The addon; csrc/napi/exports.cc. Every call returns at once and ends in its callback. */
export interface NativeAddon {
  /** Where it was loaded from. */
  path?: string;
  openLockspace(
    name: string,
    create: boolean,
    exclusive: boolean,
    mode: number | undefined,
    callback: (...result: [NativeFailure, undefined] | [undefined, NativeChannel]) => void,
  ): void;
  removeLockspace(name: string, force: boolean, callback: (failure: NativeFailure | undefined) => void): void;
  /** A connected descriptor of a stream socket in the abstract namespace, or a negative errno. Never waits. */
  connectAbstract(name: string): number;
  /** Any user may. `overflowed`: announcements were lost, so look at everything again. */
  watchUevents(callback: (events: NativeUevent[], overflowed: boolean) => void): NativeUevents;
  /** `onEvents`: once for each wake-up of the loop. `onEnd`: it was killed, or has crashed; not after close(). */
  startOpener(
    executable: string,
    isolation: "process" | "thread",
    started: (failure: { errno: number; syscall: string } | undefined, opener: NativeOpener | undefined) => void,
    onEvents: (events: NativeOpenerEvent[]) => void,
    onEnd: () => void,
  ): void;
}

// The libc that the running Node was linked against, read from its ELF interpreter: process.report would do network
// look-ups for every open socket.
function libc(): "glibc" | "musl" {
  const header = Buffer.alloc(4096);
  const fd = openSync(process.execPath, "r");
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  const PT_INTERP = 3;
  const entries = header.readUInt16LE(56);
  const entrySize = header.readUInt16LE(54);
  let entry = Number(header.readBigUInt64LE(32));
  for (let i = 0; i < entries && entry + entrySize <= header.length; i++, entry += entrySize) {
    if (header.readUInt32LE(entry) !== PT_INTERP) continue;
    const at = Number(header.readBigUInt64LE(entry + 8));
    return header.toString("latin1", at, at + 64).includes("ld-musl-") ? "musl" : "glibc";
  }
  return "glibc";
}

function explain(error: unknown): string {
  const { message, code } = error as { message: string; code?: string };
  if (process.platform !== "linux") return "clusterlock speaks to the Linux kernel and runs on Linux only";
  if (code === "ERR_DLOPEN_DISABLED") return "Node was started with --no-addons";
  const required = /GLIBC_(\d+\.\d+)' not found/.exec(message)?.[1];
  const build = `build it from source: node ${path.join("node_modules", "clusterlock", "scripts", "build-native.mjs")}`;
  if (required) return `the prebuilt addon needs glibc ${required}; ${build}`;
  return `no addon for ${process.platform}-${process.arch} (${libc()}) was found; ${build}`;
}

function load(): NativeAddon {
  const tuple = `${process.platform}-${process.arch}`;
  const options: bindings.Options & { prebuild: string } = {
    bindings: "clusterlock.node",
    module_root: path.resolve(__dirname, ".."),
    prebuild: `clusterlock.${libc()}.node`,
    // a build of one's own always wins
    try: [
      ["module_root", "build", "Debug", "bindings"],
      ["module_root", "build", "Release", "bindings"],
      ["module_root", "prebuilds", tuple, "prebuild"],
    ],
  };
  try {
    return bindings(options) as NativeAddon;
  } catch (error) {
    throw new Error(`clusterlock: ${explain(error)}`, { cause: error });
  }
}

/** @internal Puts another addon in place: the tests' double of the kernel's devices. */
export function useAddon(addon: NativeAddon): void {
  loaded = addon;
}

let loaded: NativeAddon | undefined;

/** The addon of this process or worker, loaded when first needed. */
export function native(): NativeAddon {
  return (loaded ??= load());
}

/** The program of isolation "process": it was built with the addon, and stands beside it. */
export function openerPath(): string {
  const addon = native().path ?? path.resolve(__dirname, "../build/Release/clusterlock.node");
  // clusterlock.node has a clusterlock_opener, clusterlock.glibc.node a clusterlock_opener.glibc
  const name = path.basename(addon, ".node").replace(/^[^.]*/, "clusterlock_opener");
  return path.join(path.dirname(addon), name);
}
