export { type RegionArguments, type SyncWord, parseRegions } from "./arguments";
export { CoreLog, coreLog } from "./core-log";
export type {
  DirtyLog,
  LogArguments,
  LogContext,
  LogDescription,
  LogFactory,
  LogIdentity,
  LogReport,
} from "./dirty-log";
export { DiskLog, type DiskLogOptions, diskLog } from "./disk-log";
export { type Mirror, findMirrors } from "./mirrors";
export { type MirrorLeg, type MirrorTarget, parseMirrorTarget } from "./mirror-table";
