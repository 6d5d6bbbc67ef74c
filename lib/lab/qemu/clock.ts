// Sets a node's clock to the host's, so that time stamps of different nodes can be compared.

import type { ControlChannel } from "../agent/channel";

const CLOSE_ENOUGH_MS = 5;
const TRIES = 25;

/** Returns the offset that remained, in ms. */
export async function setClock(channel: ControlChannel, signal: AbortSignal): Promise<number> {
  let { offset } = await channel.clockOffset(signal);
  // the time from our question to the moment `date` sets the clock: guessed first, then learned
  let delay = 10;
  for (let tries = 0; tries < TRIES && Math.abs(offset) > CLOSE_ENOUGH_MS; tries++) {
    ({ offset } = await channel.setClock(delay, signal));
    delay -= offset;
  }
  return offset;
}
