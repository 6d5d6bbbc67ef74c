import { constants } from "node:os";

import { ClogError } from "../../errors";
import type { DirtyLog, LogArguments } from "../log/dirty-log";
import type { Flavour } from "../protocol/requests";

const { EINVAL } = constants.errno;

function refuse(uuid: string, hint: string): ClogError {
  return new ClogError({ errno: -EINVAL, syscall: "DM_ULOG_CTR", uuid, hint });
}

/**
 * What a CTR says. The older protocol ("[DEVICE] REGION_SIZE UUID [[no]sync] LENGTH") does not name the type: the place of
 * the UUID tells it.
 * @throws ClogError
 */
export function parseConstruction(flavour: Flavour, uuid: string, words: readonly string[]): LogArguments {
  const [length, type, args] =
    flavour === "ulog"
      ? [words[0], words[1], words.slice(2)]
      : [
          words.at(-1),
          words[1] === uuid ? "clustered-core" : "clustered-disk",
          words.slice(0, -1).filter((word, at) => !(word === uuid && at === (words[1] === uuid ? 1 : 2))),
        ];
  const sectors = /^\d{1,19}$/.test(length ?? "") ? Number(length) : NaN;
  if (!Number.isSafeInteger(sectors) || sectors === 0 || type === undefined) {
    throw refuse(uuid, `'${words.join(" ")}' is no length and type of a log`);
  }
  return { type, args, length: sectors };
}

// What a wrong region size does to the kernel: 0 makes it divide by zero, others than powers of two make it use wrong
// regions (drivers/md/dm-region-hash.c: __ffs), and it keeps 32 bits of it.
/** @throws ClogError */
export function checkGeometry(uuid: string, length: number, log: DirtyLog): void {
  const { regionSize, regionCount, device } = log;
  const powerOfTwo = Number.isInteger(regionSize) && regionSize >= 2 && Number.isInteger(Math.log2(regionSize));
  if (!powerOfTwo || regionSize > 2 ** 31) {
    throw refuse(uuid, `a region size of ${regionSize} sectors: use a power of two, 2 or more`);
  }
  if (regionSize > length) {
    throw refuse(uuid, `a region size of ${regionSize} sectors is more than the mirror's ${length}`);
  }
  const expected = Math.ceil(length / regionSize);
  if (expected >= 2 ** 32) {
    throw refuse(uuid, `${expected} regions: a log has less than 2^32; use a region size of more than ${regionSize}`);
  }
  if (regionCount !== expected) {
    throw refuse(uuid, `the log has ${regionCount} regions, where the kernel counts ${expected}`);
  }
  // the kernel has room for DM_NAME_LEN bytes
  if (device !== undefined && (device === "" || device.includes("\0") || Buffer.byteLength(device) > 127)) {
    throw refuse(uuid, `the name of the log device, '${device}', is not of 1 to 127 bytes`);
  }
}
