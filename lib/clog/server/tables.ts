// What device-mapper's tables say of userspace logs: "userspace N UUID [integrated_flush] TYPE ARGS..." at the beginning of
// a mirror's parameters; drivers/md/dm-log-userspace-base.c: userspace_status.

import { ClogError } from "../../errors";
import { type NativeDmDevice, type NativeDmTarget, native } from "../../native";

/** @throws ClogError */
export function listDevices(): Promise<NativeDmDevice[]> {
  return new Promise((resolve, reject) => {
    native().listDmDevices((failure, devices) => {
      if (devices) resolve(devices);
      else reject(new ClogError({ errno: failure?.errno ?? 0, syscall: failure?.syscall ?? "ioctl" }));
    });
  });
}

// Also in the table lines of the older protocol, where the UUID stands elsewhere.
function mentions({ params }: NativeDmTarget, uuid: string): boolean {
  return ` ${params} `.includes(` ${uuid} `);
}

/** The tables that have the log. */
export function tablesOf(
  devices: readonly NativeDmDevice[],
  uuid: string,
): { live: NativeDmDevice | undefined; inactive: NativeDmDevice | undefined } {
  return {
    live: liveMirrors(devices, uuid)[0],
    inactive: devices.find(({ inactive }) => inactive.some((target) => mentions(target, uuid))),
  };
}

/** Those with the log in their live table: more than one when mirrors were given the same UUID. */
export function liveMirrors(devices: readonly NativeDmDevice[], uuid: string): NativeDmDevice[] {
  return devices.filter(({ active }) => active.some((target) => mentions(target, uuid)));
}

/** The words of the CTR that came with such a table. */
export function constructorWords(targets: readonly NativeDmTarget[], uuid: string): string[] | undefined {
  for (const { params, length } of targets) {
    const [, count, rest] = /^userspace (\d+) (.*)$/s.exec(params) ?? [];
    if (count === undefined || !rest?.startsWith(`${uuid} `)) continue;
    const words = rest
      .slice(uuid.length + 1)
      .split(" ")
      .slice(0, Number(count) - 1);
    return [String(length), ...words.slice(words[0]?.toLowerCase() === "integrated_flush" ? 1 : 0)];
  }
  return undefined;
}
