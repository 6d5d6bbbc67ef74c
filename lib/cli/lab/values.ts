// Words of the command line to values.

import { parseArgs, type ParseArgsConfig } from "node:util";

import type { Link } from "../../lab";
import { MAX_NODES } from "../../lab";
import { UsageError } from "../usage-error";

type Options = NonNullable<ParseArgsConfig["options"]>;
export type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>["values"];

/** Options and the words that are none. */
export function parse<const T extends Options>(args: readonly string[], options: T): [Values<T>, string[]] {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    return [values, positionals];
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split(/\.\s|\n/)[0] ?? "") : String(error));
  }
}

/**
 * A command begins after "--", or at the first word that is neither an option nor an option's value: its options are its
 * own.
 */
export function splitCommand(args: readonly string[], options: Options): { own: string[]; command: string[] } {
  let index = 0;
  for (let word = args[index]; word !== undefined; word = args[index]) {
    if (word === "--") return { own: args.slice(0, index), command: args.slice(index + 1) };
    if (!word.startsWith("-")) break;
    const option = word.startsWith("--") ? options[word.slice(2)] : undefined;
    index += option?.type === "string" ? 2 : 1;
  }
  return { own: args.slice(0, index), command: args.slice(index) };
}

export function wholeNumber(option: string, text: string | undefined, min: number, max?: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= (max ?? Infinity)) return value;
  const range = max === undefined ? (min === 1 ? "above 0" : "") : `in ${min}..${max}`;
  throw new UsageError(`${option} ${text}: not a whole number ${range}`.trimEnd());
}

/** Milliseconds from seconds. */
export function seconds(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : NaN;
  // a timer that is longer fires at once
  if (value > 0 && value < 2 ** 31) return value;
  throw new UsageError(`${option} ${text}: not a number of seconds`);
}

const NODE_LIST = /^n?\d+(?:,n?\d+)*$/;

export function isNodeList(text: string): boolean {
  return text === "all" || NODE_LIST.test(text);
}

export function nodeList(what: string, text: string): "all" | number[] {
  if (text === "all") return text;
  if (NODE_LIST.test(text)) return text.split(",").map(nodeNumber);
  throw new UsageError(`${what} ${text}: neither "all" nor node numbers as in 1,2`);
}

/** The nodes that a verb is for, each its own word or in lists. */
export function nodes(words: readonly string[], known: readonly number[]): number[] {
  if (words.length === 0) throw new UsageError("a node is missing");
  return words.flatMap((word) => {
    const list = nodeList("node", word);
    return list === "all" ? [...known] : list;
  });
}

/** "1,2/3" */
export function groups(words: readonly string[]): number[][] {
  const [text] = words;
  if (text === undefined || words.length > 1) throw new UsageError("say who is cut from whom, as in 1/2 or 1,2/3");
  return text.split("/").map((group) => {
    if (!NODE_LIST.test(group)) throw new UsageError(`partition ${text}: groups of nodes are written as in 1,2/3`);
    return group.split(",").map(nodeNumber);
  });
}

/** "1-2"; "1" for all links of a node; "all". */
export function links(text: string | undefined, known: readonly number[]): Link[] {
  const [, one, other] = /^n?(\d+)(?:-n?(\d+))?$/.exec(text ?? "") ?? [];
  if (one !== undefined && other !== undefined) return [[Number(one), Number(other)]];
  const pairs = known.flatMap((a) => known.filter((b) => a < b).map((b): Link => [a, b]));
  if (text === "all") return pairs;
  const node = Number(one ?? NaN);
  if (known.includes(node)) return pairs.filter((pair) => pair.includes(node));
  if (one === undefined) throw new UsageError(`${text ?? "a link"}: a link is written as in 1-2, or 1, or all`);
  throw new UsageError(`there is no node ${node} among 1..${known.length}`);
}

export function amount(what: string, unit: string, words: readonly string[]): number {
  const [text] = words;
  const digits = text?.endsWith(unit) === true ? text.slice(0, -unit.length) : (text ?? "");
  if (words.length === 1 && /^\d+(?:\.\d+)?$/.test(digits)) return Number(digits);
  throw new UsageError(`${what}: say how much, as in 20${unit}; 0 ends it`);
}

export function nothingMore(words: readonly string[]): void {
  const [word] = words;
  if (word !== undefined) throw new UsageError(`${word}: there is nothing to do with it`);
}

export const NODES_RANGE: readonly [number, number] = [1, MAX_NODES];

function nodeNumber(text: string): number {
  return Number(text.replace(/^n/, ""));
}
