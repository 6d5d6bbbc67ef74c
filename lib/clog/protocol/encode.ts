import os from "node:os";

import { invalidType, invalidValue } from "../../errors";

import { DATAGRAM_MAX, DEVICE_NAME_SIZE, HEADERS, LAYOUTS, wantsData } from "./layout";
import { numbers, withHeaders, withRequest } from "./packet";
import type { Answer, LogRequest } from "./requests";

const ERRNO_MAX = 4095;
/** Sectors: what the kernel keeps it in has 32 bits. */
const REGION_SIZE_MAX = 2 ** 31;

/**
 * The datagram that answers a request, with all the data its type has: the kernel uses what it expects, whatever came.
 *
 * A CTR's device is left out where the kernel has no room for it, and would take the answer for an error: when it
 * reconnects, before version 2, and in the `clog` layout.
 *
 * @throws {TypeError} the answer is not one to the request
 * @throws {RangeError} something in it is not in the packet's range
 */
export function encodeAnswer(request: LogRequest, answer: Answer): Buffer {
  const { name } = request.body;
  if (answer.name !== name) throw invalidType("answer", `an answer to ${name}`, answer);
  return withRequest(request, 0, dataOf(request, answer));
}

/**
 * Reports an error in the long form.
 *
 * @param errno negative; not EAGAIN, which is for {@link encodeAck}
 * @throws {TypeError} of a request that wants data: the kernel would forget how much room it has, and fail when it asks again.
 *   An {@link encodeAck} does not do that
 * @throws {RangeError} no errno, or EAGAIN
 */
export function encodeError(request: LogRequest, errno: number): Buffer {
  const { name } = request.body;
  if (wantsData(name)) throw invalidType("request", "one that wants no data", request);
  if (!Number.isInteger(errno) || errno >= 0 || errno < -ERRNO_MAX || errno === -os.constants.errno.EAGAIN) {
    throw invalidValue("errno", `must be a negative error number other than EAGAIN. Received ${errno}`);
  }
  return withRequest(request, errno, Buffer.alloc(0));
}

/**
 * Answers a request in the short form, which has no data.
 *
 * @param errno positive, or 0: done. EAGAIN makes the kernel ask again at once
 * @throws {TypeError} 0 to a request that wants data
 * @throws {RangeError} no errno
 */
export function encodeAck(request: LogRequest, errno: number): Buffer {
  const { name } = request.body;
  if (!Number.isInteger(errno) || errno < 0 || errno > ERRNO_MAX) {
    throw invalidValue("errno", `must be 0 or a positive error number. Received ${errno}`);
  }
  if (errno === 0 && wantsData(name)) throw invalidType("request", "one that wants no data", request);
  return withHeaders(request.seq, errno, 0);
}

function dataOf(request: LogRequest, answer: Answer): Buffer {
  switch (answer.name) {
    case "CTR":
      return deviceOf(request, answer.device);
    case "GET_REGION_SIZE":
      return numbers(regionSizeOf(answer.size));
    case "IS_CLEAN":
    case "IN_SYNC":
      return numbers(answer.yes ? 1n : 0n).subarray(0, LAYOUTS[request.flavour].flagSize);
    case "GET_RESYNC_WORK":
      return answer.region === undefined ? numbers(0n, 0n) : numbers(1n, countOf(answer.region, "answer.region"));
    case "GET_SYNC_COUNT":
      return numbers(countOf(answer.count, "answer.count"));
    case "STATUS_INFO":
      return textOf(request, answer.text, "\0"); // which the kernel does not add
    case "STATUS_TABLE":
      return textOf(request, answer.text, " "); // and goes on behind it: dm-raid1.c, mirror_status()
    case "IS_REMOTE_RECOVERING":
      return numbers(answer.recovering ? 1n : 0n, countOf(answer.firstUnsynced, "answer.firstUnsynced"));
    default:
      return Buffer.alloc(0);
  }
}

function countOf(value: number, name: string): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw invalidValue(name, `must be a whole number. Received ${value}`);
  return BigInt(value);
}

function regionSizeOf(size: number): bigint {
  if (!Number.isInteger(Math.log2(size)) || size < 2 || size > REGION_SIZE_MAX) {
    throw invalidValue("answer.size", `must be a power of two from 2 to 2^31 sectors. Received ${size}`);
  }
  return BigInt(size);
}

function deviceOf(request: LogRequest, device: string | undefined): Buffer {
  const { body } = request;
  const reconnect = body.name === "CTR" && body.reconnect;
  if (device === undefined || reconnect || request.version < 2) return Buffer.alloc(0);
  const data = Buffer.from(`${device}\0`);
  if (data.indexOf(0) !== data.length - 1 || data.length === 1 || data.length > DEVICE_NAME_SIZE) {
    throw invalidValue("answer.device", `must have 1 to ${DEVICE_NAME_SIZE - 1} bytes, none of them NUL`);
  }
  return data;
}

function textOf(request: LogRequest, text: string, end: string): Buffer {
  const data = Buffer.from(text + end);
  const room = DATAGRAM_MAX - HEADERS - LAYOUTS[request.flavour].size;
  if (text.includes("\0") || data.length > room) {
    throw invalidValue("answer.text", `must have at most ${room - 1} bytes, none of them NUL`);
  }
  return data;
}
