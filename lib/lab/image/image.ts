// All that a node boots from, made on first use and kept in the cache.

import { createHash } from "node:crypto";
import path from "node:path";

import { cacheRoot } from "../paths";
import type { HostState, Plan } from "./apt";
import { hostState, resolvePlan } from "./apt";
import { buildBootFiles, hasDlm, openBootFiles } from "./boot-files";
import { Cache, fileName } from "./cache";
import { buildInitramfs, initramfsRecipe } from "./initramfs";
import { findKernel } from "./kernel";
import { kernelEntry } from "./kernel-package";
import { readNote, writeNote } from "./notes";
import { buildLayer, NODE_PACKAGES } from "./packages";
import { buildBusybox, openTools } from "./tools";

export interface ImageOptions {
  /** A directory with an unpacked kernel package; default: the distribution's newest. */
  readonly kernel?: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface Image {
  /** What QEMU boots. */
  readonly kernel: string;
  readonly initramfs: string;
  /** The directory that holds <release>/ with depmod's tables and a place for the kernel's modules. */
  readonly modules: string;
  /** A tree to lay over the host's root. */
  readonly layer: string;
  /** uname -r */
  readonly release: string;
}

// part of every entry's key: count it up when a recipe below changes
const RECIPE = "2";

/** The cache may be read-only once all is in it. The caller holds it by `useCache`. */
export async function openImage({ kernel: wanted, signal, progress }: ImageOptions): Promise<Image> {
  const cache = new Cache(cacheRoot(), signal, progress);
  // a directory that will not do is known in no time, and the rest may take minutes
  const given = wanted === undefined ? undefined : await findKernel(wanted);
  const plan = await currentPlan(cache.root, signal);
  const packages = plan.packages.map(({ name, version }) => `${name}=${version}`).join("\n");
  const layer = await cache.entry(
    `packages-${digest(packages)}`,
    `fetching ${plan.packages.length} packages for the nodes (once)`,
    (directory) => buildLayer(plan.packages, directory, signal),
  );
  const busybox = await cache.entry(
    `busybox-${RECIPE}-${fileName(plan.busybox.version)}`,
    "fetching busybox (once)",
    (directory) => buildBusybox(plan.busybox, directory, signal),
  );
  const tools = openTools(busybox, path.join(layer, "root"), signal);
  const kernel = given ?? (await findKernel(await kernelEntry(cache, plan.kernel, signal)));
  const bootEntry = await cache.entry(
    `boot-${digest(kernel.stamp)}`,
    `preparing the kernel ${kernel.release} (once)`,
    (directory) => buildBootFiles(kernel, directory, tools),
  );
  const boot = openBootFiles(kernel, bootEntry);
  if (!(await hasDlm(boot))) progress(`the kernel ${kernel.release} has no fs/dlm: stacks that need it cannot come up`);
  const recipe = [bootEntry, busybox, await initramfsRecipe()].join("\n");
  const initramfs = await cache.entry(`initramfs-${digest(recipe)}`, "making the initramfs (once)", (directory) =>
    buildInitramfs(boot, directory, tools),
  );
  return {
    kernel: boot.image,
    initramfs: path.join(initramfs, "initramfs.gz"),
    modules: boot.modules,
    layer: path.join(layer, "root"),
    release: kernel.release,
  };
}

function digest(text: string): string {
  return createHash("sha256").update(`${RECIPE}\n${text}`).digest("hex").slice(0, 16);
}

interface SavedPlan {
  readonly recipe: string;
  readonly wanted: string;
  readonly host: HostState;
  readonly plan: Plan;
}

// apt takes seconds to answer, so its answer is kept for as long as nothing changed that it depends on
async function currentPlan(root: string, signal: AbortSignal): Promise<Plan> {
  const file = path.join(root, "plan.json");
  const wanted = NODE_PACKAGES.join(" ");
  const host = await hostState();
  const saved = (await readNote(file)) as Partial<SavedPlan> | undefined;
  if (saved?.plan !== undefined && saved.recipe === RECIPE && saved.wanted === wanted) {
    // without lists apt could not answer at all, but the cache can
    const lists = saved.host?.lists === host.lists || host.lists === "none";
    if (saved.host?.dpkg === host.dpkg && lists) return saved.plan;
  }
  const plan = await resolvePlan(NODE_PACKAGES, signal);
  const fresh: SavedPlan = { recipe: RECIPE, wanted, host, plan };
  await writeNote(file, fresh);
  return plan;
}
