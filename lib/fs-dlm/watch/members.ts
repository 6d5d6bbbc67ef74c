import { readFile, readdir } from "node:fs/promises";
import path from "node:path";

const CONFIGFS = "/sys/kernel/config/dlm/cluster/spaces";

/**
 * The node ids of a lockspace's members as its controller has told the kernel, ascending; undefined where configfs
 * cannot be read. Source: fs/dlm/config.c, `spaces/NAME/nodes`.
 */
export async function readMembers(lockspace: string, configfs: string = CONFIGFS): Promise<number[] | undefined> {
  const nodes = path.join(configfs, lockspace, "nodes");
  try {
    const names = await readdir(nodes);
    const texts = await Promise.all(names.map((name) => readFile(path.join(nodes, name, "nodeid"), "latin1")));
    return texts.map(Number).sort((a, b) => a - b);
  } catch {
    return undefined;
  }
}
