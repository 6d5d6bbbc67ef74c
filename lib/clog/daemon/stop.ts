// Ends a daemon from another process.

import { DaemonError } from "./errors";
import { startTicks } from "./process-facts";
import { queryStatus } from "./status-socket";

const POLL_MS = 50;

/**
 * Sends SIGTERM to the daemon of the directory, and returns when it has ended; which takes as long as its log devices.
 * @throws DaemonError ERR_CLOGD_ABSENT when there is none.
 */
export async function stopDaemon(directory: string): Promise<{ pid: number }> {
  const { pid, startTicks: started } = await queryStatus(directory);
  // who answered in another process namespace, or has ended since, is not to be mistaken for somebody else
  if (startTicks(pid) !== started) {
    throw new DaemonError("ERR_CLOGD_ABSENT", `process ${pid}, which answered, is not here: it may be in a container`);
  }
  try {
    process.kill(pid, "SIGTERM");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return { pid };
    throw new DaemonError("ERR_CLOGD_PERMISSION", `process ${pid}: only root may end it`, { cause });
  }
  while (startTicks(pid) === started) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  return { pid };
}
