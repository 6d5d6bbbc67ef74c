// The public names and shapes that programs outside this project rely on, as a program would use them: compiled with
// the rest of the tests and never run. It imports the package by its name, so the built types are what is checked.
import { type Lock, type LockMode, Lockspace } from "clusterlock/dlm";
import { Domain, type DomainLock } from "clusterlock/dlmfs";
import { type Cluster, run, up } from "clusterlock/lab";

export async function locks(name: string, resource: string, signal: AbortSignal, lvb: Uint8Array): Promise<void> {
  const mode: LockMode = "PR";
  const ls: Lockspace = await Lockspace.open(name, { create: true });
  const onBlocking = (wanted: LockMode, lock: Lock): void => void lock.convert(wanted === "EX" ? "NL" : "CR");
  const lock: Lock = await ls.lock(resource, { mode, signal, lvb, onBlocking });
  const maybe: Lock | null = await ls.tryLock(resource, { mode });
  await maybe?.release();
  await lock.convert("EX", { lvb: true, signal });
  const facts: [LockMode, number, Uint8Array | undefined, boolean | undefined] = [
    lock.mode,
    lock.id,
    lock.lvb,
    lock.lvbValid,
  ];
  console.log(facts);
  await lock.release();
  await ls.close();
  await Lockspace.remove(name);

  await using scoped = await Lockspace.open(name);
  await using held = await scoped.lock(Uint8Array.of(1, 2, 3));
  console.log(held.resource);

  // @ts-expect-error plain `using` would drop the lock without waiting for the kernel
  using wrong = await scoped.lock(resource);
  // @ts-expect-error there is no such mode
  await scoped.lock(resource, { mode: "XX" });
  console.log(wrong);
}

export async function files(name: string, signal: AbortSignal, bytes: Uint8Array): Promise<void> {
  const domain: Domain = await Domain.open(name, { mount: "/dlm", create: true });
  const onBlocking = (_mode: "EX" | undefined, lock: DomainLock): void => void lock.release();
  const lock: DomainLock = await domain.lock("x", { mode: "PR", signal, onBlocking });
  const maybe: DomainLock | null = await domain.tryLock("x", { mode: "EX" });
  await maybe?.release();
  const value: Uint8Array = await lock.readLvb();
  await lock.writeLvb(bytes);
  console.log(value, await domain.withLock("y", undefined, ({ fd }) => fd));
  await lock.release();
  await domain.close();
  await using scoped = await Domain.open(name);
  // @ts-expect-error ocfs2_dlmfs has no such mode
  await scoped.lock("x", { mode: "CR" });
}

export async function lab(): Promise<number> {
  await using cluster: Cluster = await up({ nodes: 2, stack: "dlm" });
  const child = cluster.exec(1, ["true"]);
  child.stdin.end();
  const { code } = await child.exit;
  return code ?? (await run({ nodes: 1, stack: "none", command: ["true"] }));
}
