// The messages of dlm_controld's query socket, as bytes. Not a documented interface: read off dlm_controld 4.2 on the
// wire, little-endian as the machines are that we run on. Source: dlm_controld/{dlm_controld,libdlmcontrol}.h.

export const COMMAND = { lockspaces: 5, lockspaceNodes: 6, status: 13 } as const;
/** What COMMAND.lockspaceNodes lists: all it has seen, members by the last change that ended, by the one under way. */
export const NODES = { all: 1, members: 2, next: 3 } as const;

export const HEADER_SIZE = 96;
export const LOCKSPACE_SIZE = 140;
export const NODE_SIZE = 40;
export const STATE_SIZE = 28;

const MAGIC = 0xd13cd13c;
const VERSION = 0x00010001;
const VERSION_MAJOR = 0xffff0000;
const NAME_AT = 32;
const NAME_SIZE = 64;

/** dlm_controld answered other than we know it. */
export class ProtocolError extends Error {
  readonly code = "ERR_CONTROLD_PROTOCOL";
}

export interface Query {
  command: number;
  name?: string;
  option?: number;
  /** The most items to list. */
  data?: number;
}

export function encodeQuery({ command, name = "", option = 0, data = 0 }: Query): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeUInt32LE(command, 8);
  header.writeUInt32LE(option, 12);
  header.writeUInt32LE(HEADER_SIZE, 16);
  header.writeInt32LE(data, 20);
  header.write(name, NAME_AT, NAME_SIZE, "utf8");
  return header;
}

/** The items of a list. `result` is how many there are, or a negative errno. */
export function decodeList(reply: Buffer, size: number): { result: number; items: Buffer[] } {
  if (reply.length < HEADER_SIZE) throw new ProtocolError(`an answer of ${reply.length} bytes`);
  const magic = reply.readUInt32LE(0);
  const version = reply.readUInt32LE(4);
  if (magic !== MAGIC || (version & VERSION_MAJOR) !== (VERSION & VERSION_MAJOR)) {
    throw new ProtocolError(`magic ${magic.toString(16)}, version ${version.toString(16)}`);
  }
  const result = reply.readInt32LE(20);
  const payload = reply.subarray(HEADER_SIZE);
  if (result < 0) return { result, items: [] };
  if (payload.length !== result * size) throw new ProtocolError(`${result} items in ${payload.length} bytes`);
  return { result, items: Array.from({ length: result }, (_, i) => payload.subarray(i * size, (i + 1) * size)) };
}

/** A change of a lockspace's membership. */
export interface Change {
  members: number;
  joined: number;
  removed: number;
  /** Of those removed, how many failed rather than left. */
  failed: number;
  /** Its number on this node; 0: there is none. Other nodes count on their own. */
  seq: number;
  /** The number of the last change that goes along with it. */
  combinedSeq: number;
}

/** What a change under way waits for; "messages": the members' word, `messages` are missing. */
export type ChangeWait = "ringid" | "quorum" | "fencing" | "fsdone" | "messages" | "unknown";

export interface PendingChange extends Change {
  waitsFor: ChangeWait;
  messages: number | undefined;
}

const WAITS: readonly ChangeWait[] = ["unknown", "ringid", "quorum", "fencing", "fsdone"];

/** dlm_controld's flags of a lockspace, DLMC_LF_. */
export interface LockspaceFlags {
  joining: boolean;
  leaving: boolean;
  /** It has stopped the kernel's lockspace: requests wait. */
  kernelStopped: boolean;
  fsRegistered: boolean;
  needPlocks: boolean;
  savePlocks: boolean;
}

export interface LockspaceRecord {
  name: string;
  globalId: number;
  flags: LockspaceFlags;
  change: Change;
  nextChange: PendingChange | undefined;
}

function decodeChange(bytes: Buffer): Change {
  return {
    members: bytes.readInt32LE(0),
    joined: bytes.readInt32LE(4),
    removed: bytes.readInt32LE(8),
    failed: bytes.readInt32LE(12),
    seq: bytes.readUInt32LE(24),
    combinedSeq: bytes.readUInt32LE(28),
  };
}

function decodePending(bytes: Buffer): PendingChange | undefined {
  const change = decodeChange(bytes);
  if (change.seq === 0) return undefined;
  const condition = bytes.readInt32LE(16);
  const messages = bytes.readInt32LE(20) === 1 ? condition : undefined;
  return { ...change, waitsFor: messages === undefined ? (WAITS[condition] ?? "unknown") : "messages", messages };
}

const zeroTerminated = (bytes: Buffer): string =>
  bytes.toString("utf8", 0, (bytes.indexOf(0) + 1 || bytes.length + 1) - 1);

export function decodeLockspace(bytes: Buffer): LockspaceRecord {
  const flags = bytes.readUInt32LE(64);
  return {
    name: zeroTerminated(bytes.subarray(72, 137)),
    globalId: bytes.readUInt32LE(68),
    flags: {
      joining: (flags & 0x01) !== 0,
      leaving: (flags & 0x02) !== 0,
      kernelStopped: (flags & 0x04) !== 0,
      fsRegistered: (flags & 0x08) !== 0,
      needPlocks: (flags & 0x10) !== 0,
      savePlocks: (flags & 0x20) !== 0,
    },
    change: decodeChange(bytes.subarray(0, 32)),
    nextChange: decodePending(bytes.subarray(32, 64)),
  };
}

/** A node that dlm_controld has seen in a lockspace. */
export interface LockspaceNode {
  node: number;
  member: boolean;
  /** It has said that it has begun the change. */
  started: boolean;
  /** It takes no part, because its state does not fit the others'. */
  disallowed: boolean;
  needsFencing: boolean;
  /** A file system has to say first that it knows of the failure. */
  checksFs: boolean;
  /** The changes that added and removed it, 0 for none. */
  addedSeq: number;
  removedSeq: number;
  /** Corosync's cpg_reason_t of its failure (3 node down, 5 process down), 0 for none. */
  failReason: number;
  /** When it failed, in seconds since 1970, 0 for never. */
  failedAt: number;
}

export function decodeNode(bytes: Buffer): LockspaceNode {
  const flags = bytes.readUInt32LE(4);
  return {
    node: bytes.readInt32LE(0),
    member: (flags & 0x01) !== 0,
    started: (flags & 0x02) !== 0,
    disallowed: (flags & 0x04) !== 0,
    needsFencing: (flags & 0x08) !== 0,
    checksFs: (flags & 0x10) !== 0,
    addedSeq: bytes.readUInt32LE(8),
    removedSeq: bytes.readUInt32LE(12),
    failReason: bytes.readInt32LE(16),
    failedAt: Number(bytes.readBigUInt64LE(24)),
  };
}

export interface StateRecord {
  type: "daemon" | "node" | "startup";
  node: number;
  /** What it says of itself, `name=value`. */
  values: Map<string, string>;
}

const STATES = new Map<number, StateRecord["type"]>([
  [1, "daemon"],
  [2, "node"],
  [3, "startup"],
]);

/** The answer to COMMAND.status: records one after the other, without a header. */
export function decodeStates(reply: Buffer): StateRecord[] {
  const records: StateRecord[] = [];
  for (let at = 0; at < reply.length;) {
    if (reply.length < at + STATE_SIZE) throw new ProtocolError(`a state of ${reply.length - at} bytes`);
    const type = STATES.get(reply.readUInt32LE(at));
    const node = reply.readInt32LE(at + 8);
    const text = at + STATE_SIZE;
    const end = text + reply.readUInt32LE(at + 20);
    const next = end + reply.readUInt32LE(at + 24);
    if (next > reply.length) throw new ProtocolError(`a state that ends at ${next} of ${reply.length} bytes`);
    const pairs = zeroTerminated(reply.subarray(text, end)).matchAll(/([^ =]+)=(\S*)/g);
    const values = new Map(Array.from(pairs, ([, key = "", value = ""]): [string, string] => [key, value]));
    if (type) records.push({ type, node, values });
    at = next;
  }
  if (!records.some(({ type }) => type === "daemon")) throw new ProtocolError("no word of the daemon itself");
  return records;
}
