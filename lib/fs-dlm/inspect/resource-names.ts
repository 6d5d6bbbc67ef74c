// A resource's name is up to 64 bytes of anything. In dumps, which travel as JSON, it is written as text from which the
// bytes can be had back.

import { invalidValue } from "../../errors";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;

// What a terminal or a line of text could not carry: controls, separators of lines, what turns the direction of writing.
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}\p{Co}]/u;

/**
 * A resource's name as dumps write it: UTF-8 text as it is, but `\` as `\\`, and control characters and bytes that are
 * not UTF-8 as `\xNN`. Different names are written differently.
 */
export function writeResourceName(name: Uint8Array): string {
  let text: string;
  try {
    text = UTF8.decode(name);
  } catch {
    return Array.from(name, (byte) =>
      byte === 0x5c ? "\\\\" : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : hex(byte),
    ).join("");
  }
  let written = "";
  for (const character of text) {
    if (character === "\\") written += "\\\\";
    else if (UNSHOWN.test(character)) written += Array.from(Buffer.from(character), hex).join("");
    else written += character;
  }
  return written;
}

/**
 * The bytes of a resource's name that a dump has written.
 * @throws RangeError a `\` that does not begin `\\` or `\xNN`
 */
export function readResourceName(written: string): Uint8Array {
  const parts: Buffer[] = [];
  for (const [piece, escaped] of written.matchAll(/\\(x[0-9a-f]{2}|\\)|\\|[^\\]+/gu)) {
    if (piece === "\\") throw invalidValue("name", "has a '\\' that begins neither '\\\\' nor '\\xNN'");
    if (escaped === undefined) parts.push(Buffer.from(piece));
    else parts.push(escaped === "\\" ? Buffer.from("\\") : Buffer.from(escaped.slice(1), "hex"));
  }
  return Buffer.concat(parts);
}

/** As {@link writeResourceName}, from bytes as Latin-1 text. */
export function writeLatin1Name(name: string): string {
  // most names: printable ASCII
  return /^[ -[\]-~]*$/.test(name) ? name : writeResourceName(Buffer.from(name, "latin1"));
}
