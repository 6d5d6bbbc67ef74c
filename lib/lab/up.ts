// The ways to a cluster: begin one, or find one that runs.

import type { Cluster } from "./cluster";
import { connectToLab } from "./labs";
import { startLab } from "./client/keeper-process";
import { KeeperConnection, RemoteCluster } from "./client/remote-cluster";
import type { LabOptions } from "./options";
import { labName, planLab } from "./options";
import { within } from "./waiting";

export interface UpOptions extends LabOptions {
  /** The cluster goes on when this program has ended, until somebody takes it down. Default: it ends with this program. */
  readonly keep?: boolean;
}

/** Boots a cluster; resolves when its stack is up on every node. */
export async function up(options: UpOptions = {}): Promise<Cluster> {
  return startLab(planLab(options), options, options.keep ?? false);
}

/**
 * A running cluster: in a node's program its own, elsewhere the one of that name, or the only one. Disposing of the handle
 * lets go of the cluster; `down` ends it.
 */
export async function attach(name?: string): Promise<Cluster> {
  return attachLab(name === undefined ? undefined : labName(name));
}

const ANSWER_SECONDS = 10;

/** As `attach`, with what only the lab's own tools use. */
export async function attachLab(name: string | undefined): Promise<RemoteCluster> {
  const stream = await connectToLab(name);
  const connection = new KeeperConnection(stream);
  const { signal } = new AbortController();
  const facts = await within(ANSWER_SECONDS, "the lab to answer", signal, connection.facts).catch((error: unknown) => {
    connection.close();
    throw error;
  });
  connection.unrefWhenIdle();
  return new RemoteCluster(facts, connection, async () => {
    connection.close();
    return Promise.resolve();
  });
}
