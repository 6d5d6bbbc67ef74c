// From a plan to all that a lab needs before its first node is switched on.

import { openImage } from "../image/image";
import { useCache } from "../image/in-use";
import type { LabPlan } from "../options";
import { cacheRoot } from "../paths";
import { chooseAccel } from "./accel";
import { SharedDisks } from "./disks/disks";
import { checkHost } from "./host";
import { leaveOut, openOut } from "./out-dir";
import type { LabParts } from "./qemu-lab";
import { RunDir } from "./run-dir";

export async function openParts(
  plan: LabPlan,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<Omit<LabParts, "progress" | "onTunnel">> {
  await checkHost(plan, signal);
  // until this process ends
  await useCache(cacheRoot(), signal);
  const image = await openImage({ kernel: plan.kernel, signal, progress });
  const accel = await chooseAccel(image.kernel, signal, progress);
  const out = await openOut(plan.log);
  let runDir: RunDir | undefined;
  try {
    runDir = await RunDir.create(plan.name, out.fresh ? out.path : undefined);
    const nodes = Array.from({ length: plan.nodes }, (_, index) => index + 1);
    const { path: directory } = runDir;
    const { disks: sizes, record } = plan;
    const disks = sizes.length === 0 ? undefined : await SharedDisks.open({ directory, nodes, sizes, record });
    return { plan, hardware: { accel, ...image }, out, runDir, disks };
  } catch (error) {
    await runDir?.remove();
    await leaveOut(out);
    throw error;
  }
}
