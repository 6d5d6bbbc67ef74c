import { ClogError } from "../../errors";
import { native } from "../../native";
import type { NativeDmDevice, NativeDmTarget } from "../../native";

import { type MirrorTarget, parseMirrorTarget } from "./mirror-table";

/** A mirror of which the live table uses a log. */
export interface Mirror {
  readonly device: NativeDmDevice;
  readonly target: NativeDmTarget;
  readonly parsed: MirrorTarget;
}

function listDevices(): Promise<NativeDmDevice[]> {
  return new Promise((resolve, reject) => {
    native().listDmDevices((failure, devices) => {
      if (devices) resolve(devices);
      else reject(new ClogError({ errno: failure?.errno ?? 0, syscall: failure?.syscall ?? "ioctl" }));
    });
  });
}

/** The mirrors whose live tables name this log. Usually one. */
export async function findMirrors(uuid: string): Promise<Mirror[]> {
  const mirrors: Mirror[] = [];
  for (const device of await listDevices()) {
    for (const target of device.active) {
      if (target.type !== "mirror") continue;
      const parsed = parseMirrorTarget(target.params);
      if (parsed?.uuid === uuid) mirrors.push({ device, target, parsed });
    }
  }
  return mirrors;
}
