// Serves one volume to one node over one connection, one request after the other.

import type { Duplex } from "node:stream";

import { ByteReader } from "./byte-reader";
import type { Request } from "./nbd-protocol";
import {
  answerExportName,
  answerOption,
  CLIENT_FLAGS_LENGTH,
  COMMAND,
  ERROR,
  GREETING,
  OPTION,
  OPTION_HEADER_LENGTH,
  optionHeader,
  parseRequest,
  reply,
  REQUEST_LENGTH,
  SECTOR_BYTES,
  wantsNoZeroes,
} from "./nbd-protocol";
import type { Volume } from "./volume";

/** Resolves when the connection is over and all that it asked for is done; a peer that breaks the protocol ends it. */
export async function serveNbd(stream: Duplex, volume: Volume, node: number): Promise<void> {
  stream.on("error", () => undefined);
  const from = new ByteReader(stream);
  try {
    if (await negotiate(from, stream, volume)) await transmit(from, stream, volume, node);
  } catch {
    // cut off by QEMU's end, or not QEMU
  }
  stream.destroy();
}

async function send(stream: Duplex, data: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(data, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Whether the peer wants to go on to the transmission phase. */
async function negotiate(from: ByteReader, stream: Duplex, { size }: Volume): Promise<boolean> {
  await send(stream, GREETING);
  const noZeroes = wantsNoZeroes(await from.take(CLIENT_FLAGS_LENGTH));
  for (;;) {
    const { option, length } = optionHeader(await from.take(OPTION_HEADER_LENGTH));
    await from.take(length);
    if (option === OPTION.exportName) {
      await send(stream, answerExportName(size, noZeroes));
      return true;
    }
    await send(stream, answerOption(option, size));
    if (option === OPTION.go) return true;
    if (option === OPTION.abort) return false;
  }
}

async function transmit(from: ByteReader, stream: Duplex, volume: Volume, node: number): Promise<void> {
  for (;;) {
    const request = parseRequest(await from.take(REQUEST_LENGTH));
    if (request.command === COMMAND.disconnect) return;
    const payload = request.command === COMMAND.write ? await from.take(request.length) : Buffer.alloc(0);
    const wrong = check(request, volume.size);
    if (wrong !== ERROR.none) {
      await send(stream, reply(request.cookie, wrong));
      continue;
    }
    try {
      const data = await act(request, payload, volume, node);
      await send(stream, Buffer.concat([reply(request.cookie, ERROR.none), data]));
    } catch (error) {
      if (stream.destroyed) throw error;
      await send(stream, reply(request.cookie, ERROR.io));
    }
  }
}

function check({ command, offset, length }: Request, size: number): number {
  if (command === COMMAND.flush) return ERROR.none;
  if (command !== COMMAND.read && command !== COMMAND.write) return ERROR.invalid;
  if (offset % SECTOR_BYTES !== 0 || length % SECTOR_BYTES !== 0 || length === 0) return ERROR.invalid;
  if (offset + length <= size) return ERROR.none;
  return command === COMMAND.write ? ERROR.noSpace : ERROR.invalid;
}

async function act(request: Request, payload: Buffer, volume: Volume, node: number): Promise<Buffer> {
  const { command, offset, length, durable } = request;
  if (command === COMMAND.read) return volume.read(offset, length);
  if (command === COMMAND.flush) await volume.flush(node);
  else await volume.write(node, offset, payload, durable);
  return Buffer.alloc(0);
}
