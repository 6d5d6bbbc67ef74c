// The requests of the kernel's userspace dirty log, in both layouts; include/uapi/linux/dm-log-userspace.h.

/** By number: DM_ULOG_CTR is 1. */
export const REQUEST_NAMES = [
  "CTR",
  "DTR",
  "PRESUSPEND",
  "POSTSUSPEND",
  "RESUME",
  "GET_REGION_SIZE",
  "IS_CLEAN",
  "IN_SYNC",
  "FLUSH",
  "MARK_REGION",
  "CLEAR_REGION",
  "GET_RESYNC_WORK",
  "SET_REGION_SYNC",
  "GET_SYNC_COUNT",
  "STATUS_INFO",
  "STATUS_TABLE",
  "IS_REMOTE_RECOVERING",
] as const;

export type RequestName = (typeof REQUEST_NAMES)[number];

/** 1 to 17. */
export function requestNumber(name: RequestName): number {
  return REQUEST_NAMES.indexOf(name) + 1;
}

/**
 * `ulog`: struct dm_ulog_request of the mainline kernel, 160 bytes. `clog`: struct dm_clog_request of the patch it grew
 * from, 152 bytes, without a luid, with in-sync and clean answers of 4 bytes.
 */
export type Flavour = "ulog" | "clog";

/** A request, decoded. */
export interface LogRequest {
  readonly flavour: Flavour;
  readonly uuid: string;
  /** 0n in the `clog` layout. */
  readonly luid: bigint;
  /** DM_ULOG_REQUEST_VERSION; 0 of kernels older than the field, and in the `clog` layout. */
  readonly version: number;
  readonly seq: number;
  readonly body: RequestBody;
}

export type RequestBody =
  /** `reconnect`: the kernel has lost its server, and asks for a log that it is using (the payload ends in NUL). `words`: of
   * `ulog` "LENGTH TYPE ARGS...", of `clog` "ARGS... LENGTH", as they came. */
  | { readonly name: "CTR"; readonly words: readonly string[]; readonly reconnect: boolean }
  | { readonly name: "IS_CLEAN" | "IN_SYNC" | "IS_REMOTE_RECOVERING"; readonly region: bigint }
  | { readonly name: "MARK_REGION" | "CLEAR_REGION" | "FLUSH"; readonly regions: readonly bigint[] }
  | { readonly name: "SET_REGION_SYNC"; readonly region: bigint; readonly inSync: boolean }
  | {
      readonly name:
        | "DTR"
        | "PRESUSPEND"
        | "POSTSUSPEND"
        | "RESUME"
        | "GET_REGION_SIZE"
        | "GET_RESYNC_WORK"
        | "GET_SYNC_COUNT"
        | "STATUS_INFO"
        | "STATUS_TABLE";
    };

/** What goes back besides "done". */
export type Answer =
  | { readonly name: "CTR"; readonly device: string | undefined }
  /** Sectors. */
  | { readonly name: "GET_REGION_SIZE"; readonly size: number }
  | { readonly name: "IS_CLEAN" | "IN_SYNC"; readonly yes: boolean }
  | { readonly name: "GET_RESYNC_WORK"; readonly region: number | undefined }
  | { readonly name: "GET_SYNC_COUNT"; readonly count: number }
  | { readonly name: "STATUS_INFO" | "STATUS_TABLE"; readonly text: string }
  | { readonly name: "IS_REMOTE_RECOVERING"; readonly recovering: boolean; readonly firstUnsynced: number }
  /** Of the requests that want no data. */
  | {
      readonly name:
        "DTR" | "PRESUSPEND" | "POSTSUSPEND" | "RESUME" | "FLUSH" | "MARK_REGION" | "CLEAR_REGION" | "SET_REGION_SYNC";
    };
