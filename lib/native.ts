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

/** Why something of the cluster log could not be had. */
export interface NativeSystemFailure {
  /** Negative. */
  errno: number;
  syscall: string;
}

/**
 * What a dirty log knows of its regions, in memory that the receive thread of a log socket shares: csrc/clog/regions.h.
 * Every method takes the lock of the regions for a moment, and none waits for anything else. Regions are 0 to `count` - 1;
 * others are ignored, and are neither clean nor in sync.
 *
 * Three bits for each region: in sync; marked (the kernel has marked it and not cleared it); and, of durable ones, whether
 * the log device may say "clean". What it should say is "in sync and not marked". A page is 4096 bytes of the log device;
 * page 0 begins with its header (drivers/md/dm-log.c: struct log_header_disk), and region r is bit r%8 of byte 1024+r/8.
 */
export interface NativeRegions {
  readonly count: number;
  /** Of a file: it was there, and is of a log of the same number of regions; its contents stand. */
  readonly restored: boolean;
  isClean(region: number): boolean;
  inSync(region: number): boolean;
  mark(regions: readonly number[]): void;
  clear(regions: readonly number[]): void;
  setSync(region: number, inSync: boolean): void;
  /** Regions in sync; marked; of which the log device may say "clean". */
  counts(): { inSync: number; marked: number; clean: number };
  /** The first region from `from` on that is not in sync, or `count`. */
  nextUnsynced(from: number): number;
  /** Each bit anew, as at a resume: in sync where `bits` (bit 0 first) says 1, and `rest` from region `valid` on. With
   * `also`, only regions that are in sync and not marked in these, too: they may be these very regions. Nothing is marked
   * afterwards, and every page is pending. */
  load(bits: Uint8Array, valid: number, rest: boolean, also?: NativeRegions): void;
  /** Pages of the log device, the last of which may be short: what is beyond the bits is 0. 0 when not durable. */
  readonly pages: number;
  /** Pages that a flush has to write first: they may say "clean" of a region that is marked or not in sync. */
  pending(): number[];
  /** Puts into `target`, of 4096 bytes, what is to be written now. It says "clean" of no region of which the log device
   * could not say so before. At most one write of a page at a time. */
  page(page: number, target: Uint8Array): void;
  /** `content`, as it was by page(), is durable. */
  written(page: number, content: Uint8Array): void;
  /** Begins a round of clears: remembers which regions are in sync and not marked, of which the log device does not say
   * "clean". Their number. The legs' caches are to be flushed after this and before commitClears(). */
  beginClears(): number;
  /** Regions of the round that nobody has marked since may be "clean" on the log device from now on; the pages to write. */
  commitClears(): number[];
  abandonClears(): void;
  /** The legs did not flush, and what was in their caches may be lost for ever: beginClears() finds nothing any more before the
   * next load(), in this process or its successor. */
  stopClears(): void;
  clearsStopped(): boolean;
  /** Lets go of the memory; a file stays. Every call after it throws. */
  close(): void;
}

/** A request of the kernel that JavaScript has to answer. */
export interface NativeLogPacket {
  /** The datagram, from its nlmsghdr on; checked for its sender and its lengths (docs/clog.md). */
  packet: Buffer;
  /** When it was received: CLOCK_MONOTONIC in milliseconds, as performance.now() has it with another origin. */
  since: number;
}

/** What a log socket met besides requests. */
export type NativeLogTrouble =
  /** ENOBUFS: requests were lost. The kernel asks again. */
  | { kind: "overrun" }
  /** A datagram that the kernel has not sent. */
  | { kind: "foreign-sender"; pid: number }
  /** A datagram of the kernel that is no request. */
  | { kind: "malformed"; length: number; reason: string }
  /** Receiving has ended for good. */
  | { kind: "failed"; errno: number };

export interface NativeLogStats {
  /** Requests received; answered by the receive thread; given to JavaScript. */
  received: number;
  fast: number;
  slow: number;
  /** Answers sent, of both; datagrams dropped; overruns. */
  replies: number;
  dropped: number;
  overruns: number;
  /** For each request type (index 0 to 17; 0 is unused), how many answers took less than 2^i microseconds and not less than
   * 2^(i-1): 32 numbers, of which the last has all that took longer. */
  latency: number[][];
  /** For each request type, the longest, in microseconds. */
  longest: number[];
}

/** The socket of the connector, with its receive thread: csrc/clog/receiver.h. */
export interface NativeLogSocket {
  /** Bytes that the kernel gave for what is not yet received. */
  readonly receiveBuffer: number;
  /** Sends a whole datagram, which answers a request of that type that came at `since`. 0, or a negative errno. */
  reply(datagram: Uint8Array, type: number, since: number): number;
  /** From now on the receive thread answers IN_SYNC, IS_CLEAN, MARK_REGION, CLEAR_REGION and every FLUSH that has nothing to
   * write from these regions. Marks that a FLUSH carries are made before it is given to JavaScript. `seed`: the layout of
   * the log's packets (protocol/). */
  attach(uuid: string, luid: bigint, seed: boolean, regions: NativeRegions): void;
  /** Idempotent. When it returns, the receive thread uses the regions no more. */
  detach(uuid: string, luid: bigint): void;
  stats(): NativeLogStats;
  setRef(on: boolean): void;
  /** Requests that were not yet answered stay unanswered. `closed`: the port is free again. */
  close(closed?: () => void): void;
}

/** A block device (or a file, for tests) with a thread of its own; csrc/clog/block_device.h. Never waits. */
export interface NativeBlockDevice {
  /** Bytes; of a device, when it was opened. */
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  /** Bytes; 512 for a file. With `direct`, positions and lengths are multiples of it. */
  readonly logicalBlockSize: number;
  /** errno is 0 or negative; `data` is shorter than asked for at the end of the device. */
  read(position: number, length: number, callback: (errno: number, data: Buffer | undefined) => void): void;
  /** Copies `data` before it returns. Writes happen one after the other, in the order of the calls. */
  write(position: number, data: Uint8Array, callback: (errno: number) => void): void;
  /** fsync(2): also of a device that was opened for reading. */
  flush(callback: (errno: number) => void): void;
  /** What was asked for before is done first. */
  close(callback?: () => void): void;
}

/** One target of a device-mapper table. */
export interface NativeDmTarget {
  /** Sectors. */
  start: number;
  length: number;
  type: string;
  params: string;
}

/** A device-mapper device; csrc/clog/dm_tables.h. */
export interface NativeDmDevice {
  name: string;
  uuid: string;
  major: number;
  minor: number;
  suspended: boolean;
  /** Of the live table, and of the one that a resume would put in place. Empty: there is none. */
  active: NativeDmTarget[];
  inactive: NativeDmTarget[];
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
  /** `path` undefined: memory of this process alone. Otherwise a file that outlives it, made when it is not there or is of
   * another number of regions. Throws { errno, syscall } when there is no memory, or no such directory. */
  openRegions(count: number, durable: boolean, path?: string): NativeRegions;
  /** `port`: the socket's own nl_pid, which one socket of the machine can have. */
  openLogSocket(
    port: number,
    receiveBuffer: number,
    opened: (failure: NativeSystemFailure | undefined, socket: NativeLogSocket | undefined) => void,
    onRequests: (requests: NativeLogPacket[]) => void,
    onTrouble: (trouble: NativeLogTrouble) => void,
  ): void;
  /** `direct`: O_DIRECT. Of a writable one, every write is durable when it has ended. */
  openBlockDevice(
    path: string,
    writable: boolean,
    direct: boolean,
    opened: (failure: NativeSystemFailure | undefined, device: NativeBlockDevice | undefined) => void,
  ): void;
  /** All device-mapper devices. Asks no target for its status, so no log is asked for anything. */
  listDmDevices(
    callback: (failure: NativeSystemFailure | undefined, devices: NativeDmDevice[] | undefined) => void,
  ): void;
  /** mlock(2) of what is mapped of files now, and of the C library's heap: csrc/sys/reclaim.h says why not more. 0 or a
   * negative errno. */
  lockMemory(): number;
  /** prctl(PR_SET_IO_FLUSHER): of this thread, and of what it starts. */
  setIoFlusher(): number;
  /** execve(2): the process goes on as another program, with its standard streams. Returns a negative errno only. */
  execute(path: string, argv: readonly string[], env: readonly string[]): number;
  /** F_OFD_SETLK of the whole file, exclusively, without waiting. 0, or a negative errno: -EAGAIN when it is taken. */
  lockFile(fd: number): number;
  /** One datagram to a socket of the file system, or of the abstract namespace ("@..."), as sd_notify(3). */
  sendDatagram(path: string, text: string): number;
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

/** @internal Puts another addon in place: the tests' double of the kernel's devices; undefined ends that. */
export function useAddon(addon: NativeAddon | undefined): void {
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
