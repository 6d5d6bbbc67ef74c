import type { Reader } from "./reading";
import { ROOTS } from "./roots";

/** A node as the o2cb cluster knows it. Source: fs/ocfs2/cluster/nodemanager.c. */
export interface O2cbNode {
  name: string;
  /** 0 to 254. */
  number: number;
  /** IPv4. */
  address: string | undefined;
  port: number | undefined;
  /** This node. */
  local: boolean;
  /** Its heartbeat is seen; undefined where debugfs cannot be read. */
  live: boolean | undefined;
  /** There is a connection to it; undefined for this node, and where debugfs cannot be read. */
  connected: boolean | undefined;
}

/** A place on a disk that nodes beat on. Source: fs/ocfs2/cluster/heartbeat.c. */
export interface O2cbRegion {
  /** A UUID, as a rule the volume's. */
  name: string;
  /** The block device, such as "sda1"; undefined when the heartbeat was not started there. */
  device: string | undefined;
  /** The kernel thread that beats, 0 for none. */
  thread: number;
  /** The nodes whose beats are seen here; undefined where debugfs cannot be read. */
  liveNodes: number[] | undefined;
  /** Milliseconds since this node's last beat; undefined where debugfs cannot be read. */
  sinceLastBeatMs: number | undefined;
}

/** The kernel's own cluster, as configfs and debugfs show it. */
export interface O2cbStatus {
  cluster: string;
  /** By number. */
  nodes: O2cbNode[];
  mode: "local" | "global" | undefined;
  /**
   * Beats: a node that has not beaten for (this - 1) * 2 s resets itself, and after this * 2 s the others take it for
   * dead.
   */
  deadThreshold: number | undefined;
  /** What a node does to itself when it has to. */
  fenceMethod: string | undefined;
  regions: O2cbRegion[];
  /** This node's own heartbeat is seen; where debugfs cannot be read, it has been started. */
  heartbeating: boolean;
}

const o2cbDirectory = (): string => `${ROOTS.configfs}/cluster`;

/** Undefined: there is no cluster. The kernel has one at most. */
export async function readO2cb(reader: Reader): Promise<O2cbStatus | undefined> {
  const [cluster] = (await reader.directories(o2cbDirectory())) ?? [];
  if (cluster === undefined) return undefined;
  const at = `${o2cbDirectory()}/${cluster}`;
  const [live, connected, regions, mode, deadThreshold, fenceMethod] = await Promise.all([
    reader.numbers(`${ROOTS.debugfs}/o2hb/livenodes`),
    reader.numbers(`${ROOTS.debugfs}/o2net/connected_nodes`),
    readRegions(reader, `${at}/heartbeat`),
    reader.text(`${at}/heartbeat/mode`),
    reader.number(`${at}/heartbeat/dead_threshold`),
    reader.text(`${at}/fence_method`),
  ]);
  const nodes = await readNodes(reader, `${at}/node`, live, connected);
  const own = nodes.find(({ local }) => local);
  return {
    cluster,
    nodes,
    mode: mode === "local" || mode === "global" ? mode : undefined,
    deadThreshold,
    fenceMethod,
    regions,
    heartbeating: own !== undefined && (own.live ?? regions.some(({ thread }) => thread !== 0)),
  };
}

async function readNodes(
  reader: Reader,
  directory: string,
  live: readonly number[] | undefined,
  connected: readonly number[] | undefined,
): Promise<O2cbNode[]> {
  const names = (await reader.directories(directory)) ?? [];
  const nodes = await Promise.all(
    names.map(async (name) => {
      const at = `${directory}/${name}`;
      const number = (await reader.number(`${at}/num`)) ?? -1;
      const local = (await reader.flag(`${at}/local`)) ?? false;
      return {
        name,
        number,
        address: await reader.text(`${at}/ipv4_address`),
        port: await reader.number(`${at}/ipv4_port`),
        local,
        live: live?.includes(number),
        connected: local ? undefined : connected?.includes(number),
      };
    }),
  );
  // what was removed while it was read has no number
  return nodes.filter(({ number }) => number >= 0).sort((a, b) => a.number - b.number);
}

async function readRegions(reader: Reader, directory: string): Promise<O2cbRegion[]> {
  const names = (await reader.directories(directory)) ?? [];
  return Promise.all(
    names.map(async (name) => {
      const device = await reader.text(`${directory}/${name}/dev`);
      return {
        name,
        device: device === "" ? undefined : device,
        thread: (await reader.number(`${directory}/${name}/pid`)) ?? 0,
        liveNodes: await reader.numbers(`${ROOTS.debugfs}/o2hb/${name}/livenodes`),
        sinceLastBeatMs: await reader.number(`${ROOTS.debugfs}/o2hb/${name}/elapsed_time_in_ms`),
      };
    }),
  );
}

/** The first cluster that ocfs2-tools' configuration names. */
export async function readConfiguredCluster(reader: Reader): Promise<string | undefined> {
  const text = (await reader.text(ROOTS.clusterConf)) ?? "";
  // stanzas: a word with a colon, then lines that are indented
  const stanza = /^cluster:\n((?:[ \t]+.*(?:\n|$))+)/m.exec(text)?.[1] ?? "";
  return /^\s*name\s*=\s*(\S+)/m.exec(stanza)?.[1];
}
