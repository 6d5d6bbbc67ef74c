export { ClogError } from "../errors";
export type { NativeRegions } from "../native";
export * from "./log";
export type { Flavour, RequestName } from "./protocol/requests";
export type { LogEvent, LogServerEvents, LogTrouble } from "./server/events";
export { LogServer } from "./server/log-server";
export type { LogServerOptions } from "./server/options";
export type { Latency, LogServerStatistics, RequestStatistics } from "./server/statistics";
export type { LogStatus } from "./server/status";
