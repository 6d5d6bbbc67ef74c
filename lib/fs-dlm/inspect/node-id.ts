import { readFile, readdir } from "node:fs/promises";

import { type Problem, fileProblem } from "./problems";
import { ROOTS } from "./roots";

/** A node that the kernel has an address of. */
export interface ClusterAddress {
  node: number;
  /** This node. */
  local: boolean;
  /** IP addresses; empty where the kernel does not list them. */
  addresses: string[];
}

export const clusterDirectory = (): string => `${ROOTS.configfs}/dlm/cluster`;

/** The nodes that dlm_controld has told the kernel of. Source: fs/dlm/config.c, `comms/`. */
export async function clusterAddresses(problems: Problem[]): Promise<ClusterAddress[] | undefined> {
  const directory = `${clusterDirectory()}/comms`;
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    problems.push(fileProblem(directory, error));
    return undefined;
  }
  const read = (name: string, file: string): Promise<string> =>
    readFile(`${directory}/${name}/${file}`, "utf8").catch(() => "");
  const nodes = await Promise.all(
    names.map(async (name) => ({
      node: Number(await read(name, "nodeid")),
      local: (await read(name, "local")).trim() === "1",
      addresses: (await read(name, "addr_list"))
        .split("\n")
        .map((line) => line.split("\t")[1] ?? "")
        .filter(Boolean),
    })),
  );
  // what vanished while it was read has no number
  return nodes.filter(({ node }) => node > 0).sort((a, b) => a.node - b.node);
}

/** This node's id. */
export async function localNode(problems: Problem[]): Promise<number | undefined> {
  const nodes = await clusterAddresses(problems);
  return nodes?.find(({ local }) => local)?.node;
}
