// What two holders of a lock see of each other, whoever they are.

import assert from "node:assert/strict";

import type { Mode } from "./peer";
import type { Side } from "./sides";

const MODES: readonly Mode[] = ["PR", "EX"];

/** Only readers are granted beside each other. Source: fs/ocfs2/dlmfs/userdlm.c, `user_highest_compat_lock_level`. */
export const EXCLUSION = { "PR beside PR": true, "EX beside PR": false, "PR beside EX": false, "EX beside EX": false };

/** Asks for both modes while both are held: true when it was granted at once, false when the holder let go, not before. */
export async function exclusion(name: string, holder: Side, asker: Side): Promise<Record<string, boolean>> {
  const seen: Record<string, boolean> = {};
  for (const held of MODES) {
    for (const asked of MODES) {
      await holder.hold(name, held);
      let granted = false;
      const waiting = asker.waits(name, asked).then(() => (granted = true));
      if (held === "PR" && asked === "PR") {
        await waiting;
      } else {
        // it has asked, and the holder knows
        await holder.blocked();
      }
      seen[`${asked} beside ${held}`] = granted;
      await holder.release();
      await waiting;
    }
  }
  return seen;
}

/** A value of all bytes that a block has, told from any other by its text. */
export function valueOf(text: string): Buffer {
  const value = Buffer.alloc(64, ".");
  value.write(text);
  return value;
}

/** What one writes in EX, the other reads in PR. */
export async function handsOver(name: string, writer: Side, reader: Side, text: string): Promise<void> {
  await writer.hold(name, "EX");
  await writer.write(valueOf(text));
  // its own node has it at once
  assert.deepEqual(await writer.read(), valueOf(text));
  await writer.release();
  await reader.hold(name, "PR");
  assert.deepEqual(await reader.read(), valueOf(text));
  await reader.release();
}
