// One client's connection to one export.

import type { Duplex } from "node:stream";

import { Intake, IntakeEnd } from "./intake";
import type { Export, Request } from "./nbd-protocol";
import {
  checkRequest,
  CLIENT_FLAGS_LENGTH,
  COMMAND,
  COMMAND_FUA,
  decodeClientFlags,
  decodeInfoRequest,
  decodeOption,
  decodeRequest,
  exportReply,
  greeting,
  infoReplies,
  listReplies,
  NbdProtocolError,
  OPTION,
  OPTION_LENGTH,
  optionReply,
  REPLY,
  replyHead,
  REQUEST_LENGTH,
  STATUS,
} from "./nbd-protocol";

/** Where requests go. They begin in the order of the calls; `flush` is after all writes that began before it. */
export interface Store extends Export {
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, pieces: readonly Buffer[], durable: boolean): Promise<void>;
  flush(): Promise<void>;
}

/** Bytes of requests and replies of one connection that may be in memory; one request alone may be larger. */
const MAX_IN_FLIGHT = 8 * 1024 * 1024;
/** What a request costs besides its payload. */
const OVERHEAD = 4096;

/**
 * Serves until the client is done, breaks the protocol or goes away. Resolves when nothing of it is going on any more;
 * never rejects.
 */
export async function serveNbd(stream: Duplex, store: Store): Promise<void> {
  const connection = new Connection(stream, store);
  stream.on("error", () => undefined);
  try {
    if (await connection.handshake()) await connection.transmission();
  } catch (error) {
    // a client may end without a word, and be waiting for answers all the same
    if (!(error instanceof IntakeEnd)) stream.destroy();
  }
  await connection.idle();
  stream.end(() => stream.destroy());
}

class Connection {
  readonly #stream: Duplex;
  readonly #store: Store;
  readonly #intake: Intake;
  readonly #running = new Set<Promise<void>>();
  #inFlight = 0;
  #wake: (() => void) | undefined;

  constructor(stream: Duplex, store: Store) {
    this.#stream = stream;
    this.#store = store;
    this.#intake = new Intake(stream);
  }

  /** True when the client has chosen the export. */
  async handshake(): Promise<boolean> {
    await this.#send(greeting());
    const { noZeroes } = decodeClientFlags(await this.#intake.bytes(CLIENT_FLAGS_LENGTH));
    for (;;) {
      const { option, length } = decodeOption(await this.#intake.bytes(OPTION_LENGTH));
      const data = await this.#intake.bytes(length);
      switch (option) {
        case OPTION.EXPORT_NAME:
          // this option has no way to say no
          if (!this.#isExport(data.toString())) throw new NbdProtocolError("an unknown export");
          await this.#send(exportReply(this.#store, noZeroes));
          return true;
        case OPTION.GO:
        case OPTION.INFO: {
          const name = decodeInfoRequest(data);
          if (name === undefined) await this.#send(optionReply(option, REPLY.ERR_INVALID));
          else if (!this.#isExport(name)) await this.#send(optionReply(option, REPLY.ERR_UNKNOWN));
          else {
            await this.#send(infoReplies(option, this.#store));
            if (option === OPTION.GO) return true;
          }
          break;
        }
        case OPTION.LIST:
          await this.#send(length === 0 ? listReplies(this.#store) : optionReply(option, REPLY.ERR_INVALID));
          break;
        case OPTION.ABORT:
          await this.#send(optionReply(option, REPLY.ACK));
          return false;
        default:
          await this.#send(optionReply(option, REPLY.ERR_UNSUP));
      }
    }
  }

  async transmission(): Promise<void> {
    for (;;) {
      const request = decodeRequest(await this.#intake.bytes(REQUEST_LENGTH));
      if (request.command === COMMAND.DISCONNECT) return;
      const fault = checkRequest(request, this.#store);
      const size = OVERHEAD + payload(request, fault);
      await this.#room(size);
      const pieces = request.command === COMMAND.WRITE ? await this.#intake.pieces(request.length) : [];
      this.#inFlight += size;
      const running = this.#answer(request, fault, pieces).finally(() => {
        this.#inFlight -= size;
        this.#running.delete(running);
        this.#wake?.();
      });
      this.#running.add(running);
    }
  }

  /** Resolves when all requests are answered, or need no answer because the client is gone. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #room(size: number): Promise<void> {
    while (this.#inFlight > 0 && this.#inFlight + size > MAX_IN_FLIGHT) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #answer(request: Request, fault: number, pieces: readonly Buffer[]): Promise<void> {
    let status = fault;
    let data: Buffer | undefined;
    if (fault === STATUS.OK) {
      try {
        data = await this.#execute(request, pieces);
      } catch (error) {
        status = isFull(error) ? STATUS.ENOSPC : STATUS.EIO;
      }
    }
    await this.#send(replyHead(request.cookie, status), data);
  }

  async #execute({ command, flags, offset, length }: Request, pieces: readonly Buffer[]): Promise<Buffer | undefined> {
    if (command === COMMAND.READ) return this.#store.read(offset, length);
    if (command === COMMAND.WRITE) await this.#store.write(offset, pieces, (flags & COMMAND_FUA) !== 0);
    else await this.#store.flush();
    return undefined;
  }

  /** Resolves when the bytes are out of our memory, be it that the client is gone. */
  async #send(head: Buffer, data?: Buffer): Promise<void> {
    if (!this.#stream.writable) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        resolve();
      };
      if (data === undefined) {
        this.#stream.write(head, done);
        return;
      }
      this.#stream.cork();
      this.#stream.write(head);
      this.#stream.write(data, done);
      this.#stream.uncork();
    });
  }

  #isExport(name: string): boolean {
    return name === "" || name === this.#store.name;
  }
}

function payload({ command, length }: Request, fault: number): number {
  // what a faulty write carries has to be taken too
  return command === COMMAND.WRITE || (command === COMMAND.READ && fault === STATUS.OK) ? length : 0;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}
