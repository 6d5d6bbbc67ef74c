import { invalidType, invalidValue } from "../../errors";
import { checkObject } from "../../checks";

import { type LvbNumberType, checkNumberType, sizeOf } from "./numbers";

/** The fields of a structure, in their order in memory. Names are like variables': letters, digits, `_` and `$`. */
export type LvbFields = Readonly<Record<string, LvbNumberType>>;

export interface LvbStructOptions {
  /** The order of a number's bytes. Default "little". */
  endian?: "little" | "big" | undefined;
  /**
   * Whether fields follow each other without gaps. Default false: each lies at a multiple of its own size, as 64-bit C
   * compilers lay out a struct.
   */
  packed?: boolean | undefined;
}

export interface Layout {
  /** Where in the value block the fields' part begins. */
  from: number;
  little: boolean;
  /** `at` counts from the beginning of the fields' part. */
  fields: readonly { name: string; type: LvbNumberType; at: number }[];
  text: string;
}

// Names like 7 would come before all others, whatever their place was.
const NAME = /^[A-Za-z_$][\w$]*$/;

/** @throws TypeError, RangeError */
export function layOut(fields: unknown, options: unknown, from: number, room: number): Layout {
  const { endian = "little", packed = false } = checkObject(options);
  if (endian !== "little" && endian !== "big") throw invalidValue("options.endian", `must be "little" or "big"`);
  if (typeof packed !== "boolean") throw invalidType("options.packed", "a boolean", packed);
  if (typeof fields !== "object" || fields === null) throw invalidType("fields", "an object", fields);

  let end = 0;
  const placed = Object.entries(fields).map(([name, given]) => {
    if (!NAME.test(name)) throw invalidValue("fields", `has a field '${name}'; names are like those of variables`);
    const type = checkNumberType(given, `fields.${name}`);
    const size = sizeOf(type);
    const at = packed ? end : Math.ceil(end / size) * size;
    end = at + size;
    return { name, type, at };
  });
  if (placed.length === 0) throw invalidValue("fields", "must not be empty: a structure has a field at least");
  if (end > room) throw invalidValue("fields", `take ${end} bytes; there are ${room}`);
  const text = [endian, ...placed.map(({ name, type, at }) => `${name}:${type}@${from + at}`)].join(" ");
  return { from, little: endian === "little", fields: placed, text };
}
