export { ClogError } from "../errors";
export type {
  DirtyLog,
  LogArguments,
  LogContext,
  LogDescription,
  LogFactory,
  LogIdentity,
  LogReport,
} from "./log/dirty-log";
