import { inspect } from "node:util";

import { invalidType, invalidValue } from "../../errors";

import type { LvbCodec, LvbReading } from "./codec";
import { type Kind, PAYLOAD_SIZE, seal, unseal } from "./frame";

/** How many bytes of UTF-8 a value block holds in `lvbString()` and `lvbJson()`. */
export const LVB_TEXT_MAX: number = PAYLOAD_SIZE;

/** The text behind a frame whose detail is its length. */
function sealText(kind: Kind, text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text);
  if (bytes.length > LVB_TEXT_MAX) {
    throw invalidValue("value", `is ${bytes.length} bytes long ${what}; a value block has room for ${LVB_TEXT_MAX}`);
  }
  return seal(kind, bytes.length, (payload) => {
    bytes.copy(new Uint8Array(payload.buffer, payload.byteOffset));
  });
}

function openText<T>(kind: Kind, lvb: Uint8Array | undefined, read: (text: string) => LvbReading<T>): LvbReading<T> {
  return unseal(kind, lvb, (payload, length) => {
    if (length > LVB_TEXT_MAX) return { state: "corrupt", reason: `says that its text has ${length} bytes` };
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, length);
    let text: string;
    try {
      // a byte order mark is text like any other
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return { state: "corrupt", reason: "holds text that is no UTF-8" };
    }
    return read(text);
  });
}

/** Codec for text of at most {@link LVB_TEXT_MAX} bytes of UTF-8; an empty text is a value, and no empty block. */
export function lvbString(): LvbCodec<string> {
  return {
    encode: (value) => {
      if (typeof value !== "string") throw invalidType("value", "a string", value);
      // lone surrogates have no UTF-8: what came back would be another text
      if (Buffer.from(value).toString() !== value) throw invalidValue("value", "is not well-formed Unicode");
      return sealText("string", value, "in UTF-8");
    },
    decode: (lvb) => openText("string", lvb, (value) => ({ state: "ok", value })),
  };
}

/**
 * Codec for whatever fits into {@link LVB_TEXT_MAX} bytes of JSON; what JSON cannot say, such as a NaN, it changes.
 *
 * @param parse Makes a T of what the JSON says, or throws, which reads as "foreign": another version of a program may
 *   have written it. Without it T is taken on trust.
 */
export function lvbJson<T = unknown>(parse: (value: unknown) => T = (value) => value as T): LvbCodec<T> {
  if (typeof parse !== "function") throw invalidType("parse", "a function", parse);
  return {
    encode: (value) => sealText("json", stringify(value), "as JSON"),
    decode: (lvb) =>
      openText("json", lvb, (text) => {
        let said: unknown;
        try {
          said = JSON.parse(text);
        } catch {
          return { state: "corrupt", reason: "holds text that is no JSON" };
        }
        try {
          return { state: "ok", value: parse(said) };
        } catch (error) {
          const message = error instanceof Error ? error.message : inspect(error);
          return { state: "foreign", reason: `holds JSON that was not expected: ${message}` };
        }
      }),
  };
}

function stringify(value: unknown): string {
  let text: unknown;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw Object.assign(invalidType("value", "something that JSON can say", value), { cause });
  }
  if (typeof text !== "string") throw invalidType("value", "something that JSON can say", value);
  return text;
}
