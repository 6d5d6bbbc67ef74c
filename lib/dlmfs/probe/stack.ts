import type { KernelModules, ModuleState } from "./modules";
import type { Reader } from "./reading";
import { ROOTS } from "./roots";

/** What ocfs2_dlmfs of the running kernel can do, in its own words. */
export interface Capabilities {
  /** As the kernel has it, such as "bast stackglue". */
  text: string;
  /** It tells a holder that another node wants the lock: `onBlocking`. */
  bast: boolean;
  /** Its locks can come from other stacks than o2cb. */
  stackglue: boolean;
}

/** Where the locks come from. Source: fs/ocfs2/stackglue.c. */
export interface StackStatus {
  /** `/sys/fs/ocfs2/cluster_stack`: "o2cb", or another name of four characters, such as "pcmk", for fs/dlm. */
  clusterStack: string;
  /** The plugin that this name stands for. */
  plugin: "o2cb" | "user";
  pluginModule: ModuleState;
  /** The plugin in use, by domains or mounted volumes; undefined while there are none. The stack cannot be changed then. */
  activePlugin: string | undefined;
  loadedPlugins: string[];
  /** Such as "1.0". */
  maxLockingProtocol: string | undefined;
}

export async function readCapabilities(reader: Reader): Promise<Capabilities | undefined> {
  const text = await reader.text(`${ROOTS.sysfs}/module/ocfs2_dlmfs/parameters/capabilities`);
  if (text === undefined) return undefined;
  const words = text.split(/\s+/);
  return { text, bast: words.includes("bast"), stackglue: words.includes("stackglue") };
}

/** Undefined: the kernel's stack glue is not loaded. */
export async function readStack(reader: Reader, modules: KernelModules): Promise<StackStatus | undefined> {
  const at = (name: string): string => `${ROOTS.sysfs}/fs/ocfs2/${name}`;
  const clusterStack = await reader.text(at("cluster_stack"));
  if (clusterStack === undefined) return undefined;
  const [active, loaded, protocol] = await Promise.all([
    reader.text(at("active_cluster_plugin")),
    reader.text(at("loaded_cluster_plugins")),
    reader.text(at("max_locking_protocol")),
  ]);
  const plugin = clusterStack === "o2cb" ? "o2cb" : "user";
  return {
    clusterStack,
    plugin,
    pluginModule: await modules.state(`ocfs2_stack_${plugin}`),
    activePlugin: active === "" ? undefined : active,
    loadedPlugins: loaded?.split("\n").filter(Boolean) ?? [],
    maxLockingProtocol: protocol === "" ? undefined : protocol,
  };
}
