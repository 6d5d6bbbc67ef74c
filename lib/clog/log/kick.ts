import { BlockDevice } from "./block-device";
import { findDevice } from "./find-device";
import { findMirrors } from "./mirrors";

const READ_SIZE = 4096;

// a mirror that is suspended meanwhile holds the read until it is resumed: one of them is enough
const underWay = new Set<string>();

/**
 * Makes the kernel ask for resync work, which it does only when the mirror's worker runs: one read past the page cache is
 * enough. Opened for reading, which does not tell udev of a change, and closed at once, for an open mirror cannot be
 * removed. Ends when the kernel has read; never fails, since a mirror that is gone has nothing to recover.
 */
export async function kick(uuid: string, find: typeof findDevice = findDevice): Promise<void> {
  const mirrors = await findMirrors(uuid).catch(() => []);
  await Promise.all(
    mirrors.map(async ({ device: { major, minor, suspended } }) => {
      const number = `${major}:${minor}`;
      // its resume asks by itself, and until then the read would keep it from being removed
      if (suspended || underWay.has(number)) return;
      underWay.add(number);
      try {
        const { path } = await find(number);
        const mirror = await BlockDevice.open(path, { direct: true });
        try {
          // the read's own error does not matter: the worker has run
          await mirror.read(0, Math.max(READ_SIZE, mirror.logicalBlockSize));
        } finally {
          await mirror.close();
        }
      } catch {
        return;
      } finally {
        underWay.delete(number);
      }
    }),
  );
}
