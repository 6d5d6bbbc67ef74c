// All that a node boots from, made on first use and kept in the cache.

import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";

import { cacheRoot } from "../paths";
import type { HostState, Plan } from "./apt";
import { hostState, resolvePlan } from "./apt";
import { Cache, fileName, openCacheRoot } from "./cache";
import { buildInitramfs, initramfsRecipe } from "./initramfs";
import { buildKernel, openKernel } from "./kernel";
import { buildLayer, NODE_PACKAGES } from "./packages";
import { buildBusybox, openTools } from "./tools";

export interface Image {
  /** What QEMU boots. */
  readonly kernel: string;
  readonly initramfs: string;
  /** The directory that holds <release>/ with the kernel's modules. */
  readonly modules: string;
  /** A tree to lay over the host's root. */
  readonly layer: string;
}

// part of every entry's key: count it up when a recipe below changes
const RECIPE = "1";

export async function openImage(signal: AbortSignal, progress: (line: string) => void): Promise<Image> {
  const cache = new Cache(cacheRoot(), signal, progress);
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
  const kernelRoot = await cache.entry(
    `kernel-${RECIPE}-${fileName(plan.kernel.name)}-${fileName(plan.kernel.version)}`,
    `fetching the kernel ${plan.kernel.name} (once)`,
    (directory) => buildKernel(plan.kernel, directory, tools),
  );
  const kernel = await openKernel(kernelRoot);
  const recipe = [kernelRoot, busybox, await initramfsRecipe()].join("\n");
  const initramfs = await cache.entry(`initramfs-${digest(recipe)}`, "making the initramfs (once)", (directory) =>
    buildInitramfs(kernel, directory, tools),
  );
  return {
    kernel: kernel.image,
    initramfs: path.join(initramfs, "initramfs.gz"),
    modules: path.join(kernel.root, "lib/modules"),
    layer: path.join(layer, "root"),
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
  const saved = await readFile(file, "utf8")
    .then((text) => JSON.parse(text) as SavedPlan)
    .catch(() => undefined);
  if (saved?.recipe === RECIPE && saved.wanted === wanted && saved.host.dpkg === host.dpkg) {
    // without lists apt could not answer at all, but the cache can
    if (saved.host.lists === host.lists || host.lists === "none") return saved.plan;
  }
  const plan = await resolvePlan(NODE_PACKAGES, signal);
  await openCacheRoot(root);
  const fresh: SavedPlan = { recipe: RECIPE, wanted, host, plan };
  await writeFile(`${file}.${process.pid}`, JSON.stringify(fresh, null, 2));
  await rename(`${file}.${process.pid}`, file);
  return plan;
}
