export { ClogError } from "../errors";
export * from "./log";
export type { LogEvent, LogServerEvents, LogTrouble } from "./server/events";
export { LogServer } from "./server/log-server";
export type { LogServerOptions } from "./server/options";
export type { Latency, LogServerStatistics, RequestStatistics } from "./server/statistics";
export type { LogStatus } from "./server/status";
