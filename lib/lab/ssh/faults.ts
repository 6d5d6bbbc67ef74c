// Which faults the cluster network has, and what each node has to do for them.

import type { Link, LinkStatus } from "../cluster";
import { LabOptionError } from "../errors";

/** One node's part: how it treats the traffic to and from a peer. */
export interface PeerFault {
  readonly peer: number;
  readonly cut: boolean;
  readonly loss: number;
  readonly delay: number;
}

/** A week: more than tc(8) can be asked for makes no test. */
const MAX_DELAY = 7 * 24 * 3600 * 1000;

export class NetworkFaults {
  readonly #nodes: readonly number[];
  readonly partition: readonly (readonly number[])[] | null;
  readonly links: readonly LinkStatus[];

  constructor(
    nodes: readonly number[],
    partition: readonly (readonly number[])[] | null = null,
    links: readonly LinkStatus[] = [],
  ) {
    this.#nodes = nodes;
    this.partition = partition;
    this.links = links;
  }

  partitioned(groups: readonly (readonly number[])[]): NetworkFaults {
    const named = groups.flat();
    for (const node of named) this.#check("partition", node);
    const twice = named.find((node, index) => named.indexOf(node) !== index);
    if (twice !== undefined) throw new LabOptionError(`partition: n${twice} is in two groups`);
    const rest = this.#nodes.filter((node) => !named.includes(node));
    const all = [...groups, rest].filter((group) => group.length > 0).map((group) => [...group].sort((a, b) => a - b));
    return new NetworkFaults(this.#nodes, all.length > 1 ? all : null, this.links);
  }

  healed(): NetworkFaults {
    return new NetworkFaults(this.#nodes);
  }

  lossy(link: Link, percent: number): NetworkFaults {
    if (!(percent >= 0 && percent <= 100)) throw new LabOptionError(`loss: ${percent} is not in 0..100`);
    return this.#linked("loss", link, { loss: percent });
  }

  delayed(link: Link, ms: number): NetworkFaults {
    if (!(ms >= 0 && ms <= MAX_DELAY)) throw new LabOptionError(`delay: ${ms} is not in 0..${MAX_DELAY}`);
    return this.#linked("delay", link, { delay: ms });
  }

  /** What `node` does to its peers; peers without a fault are left out. */
  of(node: number): PeerFault[] {
    return this.#nodes
      .filter((peer) => peer !== node)
      .map((peer) => {
        const { loss, delay } = this.#link(node, peer);
        return { peer, cut: this.#cut(node, peer), loss, delay };
      })
      .filter(({ cut, loss, delay }) => cut || loss > 0 || delay > 0);
  }

  #linked(what: string, [a, b]: Link, change: Partial<LinkStatus>): NetworkFaults {
    this.#check(what, a);
    this.#check(what, b);
    if (a === b) throw new LabOptionError(`${what}: n${a} has no link to itself`);
    const old = this.#link(a, b);
    const link: LinkStatus = { ...old, ...change };
    const others = this.links.filter(({ link: [x, y] }) => x !== link.link[0] || y !== link.link[1]);
    const links = link.loss > 0 || link.delay > 0 ? [...others, link] : others;
    return new NetworkFaults(this.#nodes, this.partition, links);
  }

  #link(a: number, b: number): LinkStatus {
    const [low, high] = a < b ? [a, b] : [b, a];
    const found = this.links.find(({ link: [x, y] }) => x === low && y === high);
    return found ?? { link: [low, high], loss: 0, delay: 0 };
  }

  #cut(a: number, b: number): boolean {
    const groups = this.partition;
    return groups !== null && groups.findIndex((g) => g.includes(a)) !== groups.findIndex((g) => g.includes(b));
  }

  #check(what: string, node: number): void {
    if (!this.#nodes.includes(node)) throw new LabOptionError(`${what}: there is no node ${node}`);
  }
}
