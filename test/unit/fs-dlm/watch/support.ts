import fs from "node:fs";

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when `condition` holds; rejects, naming it, when it does not within `ms`. */
export async function until(what: string, condition: () => boolean, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(2);
  }
}

/** The messages of what is thrown with nobody to catch it while `body` runs. */
export async function uncaughtDuring(body: () => Promise<void> | void): Promise<string[]> {
  const caught: string[] = [];
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const kept = events.map((event) => process.listeners(event as "exit"));
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event, (error: Error) => caught.push(event === "uncaughtException" ? error.message : event));
  }
  try {
    await body();
    await sleep(5);
  } finally {
    events.forEach((event, i) => {
      process.removeAllListeners(event);
      for (const listener of kept[i] ?? []) process.on(event as "exit", listener);
    });
  }
  return caught;
}

export const openDescriptors = (): number => fs.readdirSync("/proc/self/fd").length;
