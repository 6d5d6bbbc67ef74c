// A log server of the simplest kind, which has none of the guards: it shows on a real kernel what each of them is for. Of
// this project it uses the socket alone.

import type { Cluster } from "../../../lib/lab";
import type { NativeLogPacket, NativeLogSocket } from "../../../lib/native";
import { type NodeContext, Shell } from "../support/shell";

/** What it does wrong; nothing by default. */
export interface Wrongs {
  /** Answers the reconnect CTR of a disk log with the device's name, too. */
  nameAtReconnect?: boolean;
  /** Answers these requests (numbers) so often with EAGAIN in the full form, or as an acknowledgement. */
  again?: { types: number[]; times: number; form: "full" | "ack" };
  /** Answers the first IN_SYNC of this region with 0 and then 1, and offers it for no resync. */
  flip?: number;
  /** Has no work. */
  idle?: boolean;
  /** Says that another node recovers each region. */
  recovering?: boolean;
  /** Fails a CTR of a (uuid, luid) that it has. */
  refuseKnown?: boolean;
  /** Names a log device that is not there. */
  device?: string;
  /** Answers every request, as soon as it comes, with this errno; it knows no log. */
  always?: number;
  /** Milliseconds before each answer. */
  delay?: number;
  /** nl_pid; default: of LogServer. */
  port?: number;
}

interface Log {
  regions: number;
  regionSize: number;
  /** In sync. */
  sync: boolean[];
  asked: number;
}

/** What the naive server keeps, and a test changes, on the node. */
export interface NaiveNode extends NodeContext {
  naive: {
    wrongs: Wrongs;
    logs: Map<string, Log>;
    /** "NAME REGION... -> ANSWER" */
    trace: string[];
    /** CTRs of a (uuid, luid) that was known. */
    known: number;
    socket: NativeLogSocket;
  };
}

/** Starts one in a process of its own. */
export async function startNaive(cluster: Cluster, wrongs: Wrongs = {}): Promise<Shell> {
  const shell = new Shell(cluster, 1);
  await shell.call(serve, wrongs);
  return shell;
}

// runs on the node, where it has nothing but its arguments
async function serve(context: NodeContext, first: Wrongs): Promise<void> {
  const NAMES =
    "- CTR DTR PRESUSPEND POSTSUSPEND RESUME GET_REGION_SIZE IS_CLEAN IN_SYNC FLUSH MARK CLEAR WORK SET COUNT STATUS TABLE REMOTE".split(
      " ",
    );
  const naive: NaiveNode["naive"] = ((context as NaiveNode).naive = {
    wrongs: first,
    logs: new Map(),
    trace: [],
    known: 0,
    socket: undefined as unknown as NativeLogSocket,
  });
  const { wrongs, logs, trace } = naive;
  const u64 = (...values: (number | bigint)[]): Buffer => {
    const bytes = Buffer.alloc(8 * values.length);
    values.forEach((value, i) => bytes.writeBigInt64LE(BigInt(value), 8 * i));
    return bytes;
  };

  /** An errno, or what goes back. */
  const handle = (type: number, id: string, payload: Buffer): number | Buffer => {
    const log = logs.get(id);
    const region = payload.length >= 8 ? Number(payload.readBigUInt64LE(0)) : 0;
    if (type === 1) {
      if (log !== undefined) naive.known++;
      if (log !== undefined && wrongs.refuseKnown) return -17;
      const reconnect = payload.at(-1) === 0;
      const [length = "", kind = "", ...args] = payload.toString("latin1").replace(/\0$/, "").split(" ");
      const disk = kind === "clustered-disk" ? args.shift() : undefined;
      const regionSize = Number(args[0]);
      const regions = Math.ceil(Number(length) / regionSize);
      const sync = new Array<boolean>(regions).fill(args[1] === "nosync");
      if (log === undefined || !reconnect) logs.set(id, { regions, regionSize, sync, asked: 0 });
      const name = wrongs.device ?? disk;
      const named = name !== undefined && (!reconnect || wrongs.nameAtReconnect);
      return Buffer.from(named ? `${name}\0` : "", "latin1");
    }
    if (type === 2) logs.delete(id);
    if (type <= 5) return 0;
    if (log === undefined) return -22;
    const unsynced = log.sync.indexOf(false);
    switch (type) {
      case 6:
        return u64(log.regionSize);
      case 7:
      case 8:
        if (wrongs.flip === region && log.asked++ === 0) return u64(0);
        if (wrongs.flip === region) log.sync[region] = true;
        return u64(log.sync[region] ? 1 : 0);
      case 12:
        return wrongs.idle || unsynced < 0 ? u64(0, 0) : u64(1, unsynced);
      case 13:
        log.sync[region] = payload.readBigInt64LE(8) !== 0n;
        return 0;
      case 14:
        return u64(log.sync.filter(Boolean).length);
      case 15:
        return Buffer.from("1 clustered-core\0");
      case 17:
        return u64(wrongs.recovering ? 1 : 0, wrongs.recovering ? 0 : unsynced < 0 ? log.regions : unsynced);
      default:
        return 0;
    }
  };

  const answer = ({ packet, since }: NativeLogPacket): void => {
    const seq = packet.readUInt32LE(36 + 148);
    const cnSeq = packet.readUInt32LE(24);
    const type = packet.readUInt32LE(36 + 152) & 0xff;
    const payload = packet.subarray(196, 196 + packet.readUInt32LE(36 + 156));
    const uuid = packet.toString("latin1", 44, 44 + 129).replace(/\0.*$/s, "");
    const id = `${uuid} ${packet.readBigUInt64LE(36)}`;
    const again = wrongs.again?.types.includes(type) && wrongs.again.times-- > 0 ? wrongs.again.form : undefined;
    const said = again ? -11 : (wrongs.always ?? handle(type, id, payload));
    const data = typeof said === "number" ? Buffer.alloc(0) : said;
    const error = typeof said === "number" ? said : 0;
    const words = Array.from({ length: type === 1 ? 0 : payload.length >> 3 }, (_, i) => payload.readBigInt64LE(8 * i));
    const told = error !== 0 ? `error ${error}` : data.length % 8 === 0 ? data.toString("hex") : data.toString();
    trace.push(`${NAMES[type] ?? ""} ${words.join(" ")} -> ${told}`);
    const length = again === "ack" ? 36 : 196 + data.length;
    const reply = Buffer.alloc(length);
    packet.copy(reply, 0, 0, Math.min(length, 196));
    reply.writeUInt32LE(length, 0);
    reply.writeUInt32LE(0, 12);
    reply.writeUInt32LE(cnSeq, 24);
    reply.writeUInt16LE(length - 36, 32);
    if (again === "ack") {
      reply.writeUInt32LE(11, 28);
    } else {
      reply.writeInt32LE(error, 36 + 144);
      reply.writeUInt32LE(seq, 36 + 148);
      reply.writeUInt32LE(data.length, 36 + 156);
      data.copy(reply, 196);
    }
    if (wrongs.delay === undefined) naive.socket.reply(reply, type, since);
    else setTimeout(() => naive.socket.reply(reply, type, since), wrongs.delay);
  };

  await new Promise<void>((resolve, reject) => {
    context.native.openLogSocket(
      first.port ?? 0x636c6f67,
      1 << 20,
      (failure, socket) => {
        if (socket === undefined) {
          reject(Object.assign(new Error(failure?.syscall), failure));
          return;
        }
        naive.socket = socket;
        resolve();
      },
      (requests) => {
        requests.forEach(answer);
      },
      () => undefined,
    );
  });
}
