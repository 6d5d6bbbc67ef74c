/** A lock as the kernel prints it; fs/dlm/debug_fs.c, `print_format2_lock()` and `print_format3_lock()`. */
export interface RawLock {
  lkid: number;
  /** The node of the lock's other copy, 0 for none, -1 when the master is being looked up. */
  nodeId: number;
  remoteLkid: number;
  tid: number;
  /** Decimal: it has 64 bits. */
  xid: string;
  exflags: number;
  flags: number;
  /** DLM_LKSTS_: 0 in no queue, 1 waiting, 2 granted, 3 converting. */
  status: number;
  /** -1 for none. */
  granted: number;
  requested: number;
  /** In its present queue, in microseconds; undefined when in none, or not known. */
  queuedUs: number | undefined;
  /** Waits until the resource's master is known. */
  lookup: boolean;
  /** DLM_MSG_ of the message that the master has to answer, 0 for none. */
  waitType: number;
}

export interface RawResource {
  /** Latin-1: one character is one byte. */
  name: string;
  /** False: the name has a NUL in it, and what follows was not printed. */
  nameComplete: boolean;
  /** Of the master: 0 for this node, -1 for not known. */
  nodeId: number;
  /** Bits of `enum rsb_flags`; undefined when the format has none. */
  flags: number | undefined;
  recovering: boolean;
  lvb: { hex: string; sequence: number } | undefined;
  locks: RawLock[];
}

/** What the parsers of dumps have in common: text goes in as it is read, resources come out at the end. */
export interface DumpParser {
  /** @param nowNs CLOCK_MONOTONIC when it was read; undefined leaves times out that the kernel gives as instants */
  push(text: string, nowNs: number | undefined): void;
  end(): RawResource[];
  /** The first line that is none of the format's. */
  readonly stranger: string | undefined;
}
