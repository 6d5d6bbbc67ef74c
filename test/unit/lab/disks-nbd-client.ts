// An NBD client for tests, written from the protocol's description and not from the server.

import type { Socket } from "node:net";
import net from "node:net";

export const SECTOR = 512;

export interface Reply {
  readonly error: number;
  readonly data: Buffer;
}

export interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

export const OPT = { EXPORT_NAME: 1, ABORT: 2, LIST: 3, STARTTLS: 5, INFO: 6, GO: 7, STRUCTURED_REPLY: 8 } as const;
export const CMD = { READ: 0, WRITE: 1, DISC: 2, FLUSH: 3, TRIM: 4, WRITE_ZEROES: 6 } as const;
export const FUA = 1;

export function optionBytes(option: number, data: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.write("IHAVEOPT");
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

export function infoData(name: string): Buffer {
  const data = Buffer.alloc(6 + name.length);
  data.writeUInt32BE(name.length);
  data.write(name, 4);
  return data;
}

export function requestBytes(command: number, cookie: bigint, offset: bigint, length: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(cookie, 8);
  bytes.writeBigUInt64BE(offset, 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

export class NbdClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #waiting = new Map<bigint, { length: number; resolve: (reply: Reply) => void }>();
  readonly #received: Buffer[] = [];
  #length = 0;
  #wake = (): void => undefined;
  #ended = false;
  #cookie = 0n;

  constructor(path: string) {
    this.socket = net.connect(path);
    this.socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    this.socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once("close", () => {
        this.#ended = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Connects and chooses the export, as QEMU does. */
  static async go(path: string, name = ""): Promise<NbdClient> {
    const client = new NbdClient(path);
    await client.greet();
    const replies = await client.option(OPT.GO, infoData(name));
    if (replies.at(-1)?.type !== 1) throw new Error(`GO was answered with ${replies.at(-1)?.type ?? "nothing"}`);
    client.transmission();
    return client;
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#ended) throw new Error("the server has hung up");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const all = Buffer.concat(this.#received);
    this.#received.splice(0, Infinity, all.subarray(length));
    this.#length -= length;
    return all.subarray(0, length);
  }

  async greet(flags = 3): Promise<Buffer> {
    const greeting = await this.bytes(18);
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(flags);
    this.socket.write(answer);
    return greeting;
  }

  /** All replies to an option, the last of which is neither an information nor an export's name. */
  async option(option: number, data: Buffer = Buffer.alloc(0)): Promise<OptionReply[]> {
    this.socket.write(optionBytes(option, data));
    const replies: OptionReply[] = [];
    for (;;) {
      const head = await this.bytes(20);
      if (head.readBigUInt64BE(0) !== 0x3e889045565a9n || head.readUInt32BE(8) !== option) throw new Error("no reply");
      const type = head.readUInt32BE(12);
      replies.push({ type, data: await this.bytes(head.readUInt32BE(16)) });
      if (type !== 2 && type !== 3) return replies;
    }
  }

  /** From now on replies are to requests. */
  transmission(): void {
    void (async () => {
      for (;;) {
        const head = await this.bytes(16);
        if (head.readUInt32BE(0) !== 0x67446698) throw new Error("no reply");
        const [error, cookie] = [head.readUInt32BE(4), head.readBigUInt64BE(8)];
        const waiting = this.#waiting.get(cookie);
        this.#waiting.delete(cookie);
        waiting?.resolve({ error, data: Buffer.from(await this.bytes(error === 0 ? waiting.length : 0)) });
      }
    })().catch(() => {
      this.socket.destroy();
    });
  }

  async request(command: number, offset: number | bigint, length: number, payload?: Buffer, flags = 0): Promise<Reply> {
    const cookie = this.#cookie++;
    this.socket.write(requestBytes(command, cookie, BigInt(offset), length, flags));
    if (payload !== undefined) this.socket.write(payload);
    const answered = new Promise<Reply>((resolve) => {
      this.#waiting.set(cookie, { length: command === CMD.READ ? length : 0, resolve });
    });
    const cut = this.closed.then((): never => {
      throw new Error("the server has hung up");
    });
    return Promise.race([answered, cut]);
  }

  /** Writes sectors that hold nothing but this byte. */
  async fill(first: number, count: number, byte: number, flags = 0): Promise<void> {
    const { error } = await this.request(CMD.WRITE, first * SECTOR, count * SECTOR, sectors(count, byte), flags);
    if (error !== 0) throw new Error(`the write failed with ${error}`);
  }

  /** The first byte of each sector, each of which must be uniform. */
  async look(first: number, count: number): Promise<number[]> {
    const { error, data } = await this.request(CMD.READ, first * SECTOR, count * SECTOR);
    if (error !== 0) throw new Error(`the read failed with ${error}`);
    return Array.from({ length: count }, (_, index) => {
      const sector = data.subarray(index * SECTOR, (index + 1) * SECTOR);
      if (!sector.equals(sectors(1, sector.readUInt8(0)))) throw new Error(`sector ${first + index} is torn`);
      return sector.readUInt8(0);
    });
  }

  async flush(): Promise<void> {
    const { error } = await this.request(CMD.FLUSH, 0, 0);
    if (error !== 0) throw new Error(`the flush failed with ${error}`);
  }
}

export function sectors(count: number, byte: number): Buffer {
  return Buffer.alloc(count * SECTOR, byte);
}
