// On which occasion the kernel asks what (drivers/md/dm-log-userspace-base.c, dm-raid1.c, dm-region-hash.c).

import type { RequestName } from "../protocol/requests";

/** Steps of a log's life: never answered by the log itself. */
export const LIFE: ReadonlySet<RequestName> = new Set(["CTR", "DTR", "PRESUSPEND", "POSTSUSPEND", "RESUME"]);

/** What comes of I/O, or of recovery that may go on. */
export const STARTS_IO: ReadonlySet<RequestName> = new Set(["IN_SYNC", "MARK_REGION", "FLUSH", "GET_RESYNC_WORK"]);

/** What is asked at any time, of a suspended mirror's log, too. */
export const LOOKS: ReadonlySet<RequestName> = new Set([
  "GET_REGION_SIZE",
  "GET_SYNC_COUNT",
  "STATUS_INFO",
  "STATUS_TABLE",
]);
