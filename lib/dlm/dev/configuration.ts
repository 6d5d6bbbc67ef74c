// The DLM's configuration in configfs, when this machine is the only node.

import { endianness } from "node:os";

import type { Tree } from "./tree";

/** By this name a controller knows the configuration of one that has died. */
export const CLUSTER_NAME = "clusterlock-dev";

const ROOT = "/sys/kernel/config/dlm";
const CLUSTER = `${ROOT}/cluster`;
const COMM = `${CLUSTER}/comms/1`;
const SPACES = `${CLUSTER}/spaces`;

export type Owner = "nobody" | "us" | "another";

export class Configuration {
  readonly #tree: Tree;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  /** Whose configuration is there. `unfinished`: we may have been interrupted before we had put our name on it. */
  owner(unfinished: boolean): Owner {
    const names = this.#tree.list(ROOT);
    if (names.length === 0) return "nobody";
    if (names.some((name) => name !== "cluster")) return "another";
    const comms = this.#tree.list(`${CLUSTER}/comms`);
    const name = this.name();
    if (name === CLUSTER_NAME) return comms.every((comm) => comm === "1") ? "us" : "another";
    return name === "" && unfinished && comms.length === 0 ? "us" : "another";
  }

  name(): string {
    return this.#tree.read(`${CLUSTER}/cluster_name`) ?? "";
  }

  /** From here on lockspaces can be created, and wait for an answer. Continues what was begun before. */
  establish(): void {
    const tree = this.#tree;
    if (!tree.exists(CLUSTER)) tree.make(CLUSTER);
    if (this.name() !== CLUSTER_NAME) tree.write(`${CLUSTER}/cluster_name`, CLUSTER_NAME);
    if (!tree.exists(COMM)) tree.make(COMM);
    this.#giveAddress();
    if (tree.read(`${COMM}/local`) !== "1") tree.write(`${COMM}/local`, "1");
  }

  /** From here on no lockspace can be created. Only when there is none: newer kernels look at it without a check. */
  withdrawNode(): void {
    if (!this.#tree.exists(COMM)) return;
    // newer kernels log a warning when a node goes that never had one (lowcomms.c, dlm_lowcomms_close())
    this.#giveAddress();
    this.#tree.remove(COMM);
  }

  clear(): void {
    const tree = this.#tree;
    for (const space of this.spaces()) this.removeSpace(space);
    this.withdrawNode();
    if (!tree.exists(CLUSTER)) return;
    // The module keeps the name for the next configuration, which will be another's; an empty one takes a NUL.
    if (this.name() === CLUSTER_NAME) tree.write(`${CLUSTER}/cluster_name`, "\0");
    tree.remove(CLUSTER);
  }

  /** Lockspaces that this node is a member of. */
  spaces(): string[] {
    return this.#tree.list(SPACES);
  }

  addSpace(lockspace: string): void {
    const tree = this.#tree;
    const space = `${SPACES}/${lockspace}`;
    const member = `${space}/nodes/1`;
    if (!tree.exists(space)) tree.make(space);
    if (!tree.exists(member)) tree.make(member);
    tree.write(`${member}/nodeid`, "1");
    tree.write(`${member}/weight`, "1");
  }

  removeSpace(lockspace: string): void {
    const tree = this.#tree;
    const space = `${SPACES}/${lockspace}`;
    if (tree.exists(`${space}/nodes/1`)) tree.remove(`${space}/nodes/1`);
    if (tree.exists(space)) tree.remove(space);
  }

  #giveAddress(): void {
    const tree = this.#tree;
    // the address goes to the node of that id, so the id comes first
    if (tree.read(`${COMM}/nodeid`) !== "1") tree.write(`${COMM}/nodeid`, "1");
    if (!tree.read(`${COMM}/addr_list`)) tree.write(`${COMM}/addr`, loopback());
  }
}

/** A sockaddr_storage: 127.0.0.1. The kernel adds the port. */
function loopback(): Uint8Array {
  const AF_INET = 2;
  const address = Buffer.alloc(128);
  if (endianness() === "LE") address.writeUInt16LE(AF_INET);
  else address.writeUInt16BE(AF_INET);
  address.set([127, 0, 0, 1], 4);
  return address;
}
