import type { DumpedLock, DumpedResource } from "./dump";
import type { KernelLock, Resource } from "./queues";
import { modeName } from "./tables";

/** The real system did what the model forbids, or did not do what it demands. */
export class Divergence extends Error {}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString("hex");
}

const QUEUES = ["granted", "converting", "waiting"] as const;

function show(lock: { id?: number | undefined; granted: number; requested: number }): string {
  return `${lock.id?.toString(16) ?? "new"} ${modeName(lock.granted)}>${modeName(lock.requested)}`;
}

function sameLock(lock: KernelLock, dumped: DumpedLock): boolean {
  return lock.granted === dumped.granted && lock.requested === dumped.requested && (lock.id ?? dumped.id) === dumped.id;
}

/** Where the kernel's queues are not those of the model; empty when they agree, which also teaches locks their ids. */
export function compareResource(resource: Resource, dumped: DumpedResource | undefined): string[] {
  const differences: string[] = [];
  for (const queue of QUEUES) {
    const wanted = resource[queue];
    const seen = dumped?.[queue] ?? [];
    if (wanted.length === seen.length && wanted.every((lock, i) => sameLock(lock, seen[i]!))) continue;
    differences.push(
      `${resource.name} ${queue}: model [${wanted.map(show).join(", ")}], kernel [${seen.map(show).join(", ")}]`,
    );
  }
  if (!resource.empty) {
    const value = hex(resource.value);
    if (value !== dumped?.value) {
      differences.push(`${resource.name} value: model ${value ?? "none"}, kernel ${dumped?.value ?? "none"}`);
    }
    if (dumped && resource.invalid !== dumped.invalid) {
      differences.push(`${resource.name} flagged: model ${resource.invalid}, kernel ${dumped.invalid}`);
    }
  }
  if (differences.length === 0 && dumped) {
    for (const queue of QUEUES) resource[queue].forEach((lock, i) => (lock.id = dumped[queue][i]?.id));
  }
  return differences;
}
