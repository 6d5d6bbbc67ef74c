// Whom a request in a resource's queues waits for.

import { compatible } from "../../../modes";
import type { DomainLockEntry, DomainResource, OpenFile } from "../dump";
import { type DomainHolder, holdersIn } from "../who-holds";

/** A lock that a request waits for. */
export interface WaitBlocker extends DomainLockEntry {
  /** "held": what it is granted is not compatible. "ahead": it asked earlier, and is served first. */
  reason: "held" | "ahead";
  /** Of a "held" one: whether anybody has the file open; see {@link DomainHolder}. */
  use: DomainHolder["use"] | undefined;
  openFiles: OpenFile[];
}

/** A node's request: the one for `mode`, else any, since an open waits for whatever its mount has asked for already. */
export function requestOf(
  resource: DomainResource,
  node: number | undefined,
  mode: "PR" | "EX",
): DomainLockEntry | undefined {
  const own = [...resource.converting, ...resource.waiting].filter((entry) => entry.node === node);
  return own.find(({ requested }) => requested === mode) ?? own[0];
}

/**
 * @param resource as its master lists it
 * @param node whose `openFiles` the resource has
 */
export function blockersOf(
  resource: DomainResource,
  request: DomainLockEntry,
  node: number | undefined,
): WaitBlocker[] {
  const { requested } = request;
  if (requested === undefined) return [];
  const same = (entry: DomainLockEntry): boolean => entry.node === request.node && entry.id === request.id;
  const held = holdersIn(resource, node)
    .filter((holder) => !same(holder) && !compatible(holder.mode, requested))
    .map((holder): WaitBlocker => ({ ...holder, reason: "held" }));
  const known = new Set(held.map(({ node: of, id }) => `${of} ${id}`));
  // conversions are served first; each queue from its head on
  const line = [...resource.converting, ...resource.waiting];
  const ahead = line
    .slice(0, line.findIndex(same))
    .filter(({ node: of, id }) => !known.has(`${of} ${id}`))
    .map((entry): WaitBlocker => ({ ...entry, reason: "ahead", use: undefined, openFiles: [] }));
  return [...held, ...ahead];
}
