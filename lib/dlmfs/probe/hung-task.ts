import type { Reader } from "./reading";
import { ROOTS } from "./roots";

/** What the kernel does about tasks that sleep uninterruptibly for long, as every wait for a lock does. */
export interface HungTaskSettings {
  /** Seconds, 0 for never. */
  timeoutSeconds: number;
  /** It panics; else it writes to its log. */
  panic: boolean;
}

/** Undefined: this kernel does not look for them. */
export async function readHungTask(reader: Reader): Promise<HungTaskSettings | undefined> {
  const [timeoutSeconds, panic] = await Promise.all([
    reader.number(`${ROOTS.proc}/sys/kernel/hung_task_timeout_secs`),
    reader.flag(`${ROOTS.proc}/sys/kernel/hung_task_panic`),
  ]);
  return timeoutSeconds === undefined ? undefined : { timeoutSeconds, panic: panic ?? false };
}
