// Where everything stands in the packets of the cluster log; csrc/clog/abi.h asserts the same against the kernel's header.
// All numbers are little-endian, as on every processor that this package is for, and none of 8 bytes is aligned to 8.

import type { Flavour, RequestName } from "./requests";

/** struct nlmsghdr; NLMSG_DONE. */
export const NETLINK = { length: 0, type: 4, seq: 8, done: 3 } as const;

/** struct cn_msg, from the datagram's beginning; CN_IDX_DM and CN_VAL_DM_USERSPACE_LOG. */
export const CONNECTOR = { index: 16, value: 20, seq: 24, ack: 28, length: 32, dm: 7, log: 1 } as const;

/** Bytes before the request. */
export const HEADERS = 36;

/** With its NUL: DM_UUID_LEN. */
export const UUID_SIZE = 129;

/** Bytes; no answer is longer. The kernel's requests have at most 528, those of the older layout 672. */
export const DATAGRAM_MAX = 1024;

/** Bytes of a name that dm_get_device() is given, with its NUL: DM_NAME_LEN. */
export const DEVICE_NAME_SIZE = 128;

/** How many regions MARK_REGION, CLEAR_REGION and FLUSH name at most: MAX_FLUSH_GROUP_COUNT of dm-log-userspace-base.c. */
export const GROUP_MAX = 32;

/** Of a request, from its own beginning. */
export interface Layout {
  readonly size: number;
  readonly luid: number | undefined;
  readonly uuid: number;
  readonly version: number | undefined;
  readonly error: number;
  readonly seq: number;
  readonly type: number;
  readonly dataSize: number;
  /** Bytes of an answer to IN_SYNC and IS_CLEAN. */
  readonly flagSize: 4 | 8;
}

/** struct dm_ulog_request and struct dm_clog_request. */
export const LAYOUTS: Readonly<Record<Flavour, Layout>> = {
  ulog: { size: 160, luid: 0, uuid: 8, version: 140, error: 144, seq: 148, type: 152, dataSize: 156, flagSize: 8 },
  clog: {
    size: 152,
    luid: undefined,
    uuid: 0,
    version: undefined,
    error: 136,
    seq: 140,
    type: 144,
    dataSize: 148,
    flagSize: 4,
  },
};

const WANT_DATA: ReadonlySet<RequestName> = new Set([
  "GET_REGION_SIZE",
  "IS_CLEAN",
  "IN_SYNC",
  "GET_RESYNC_WORK",
  "GET_SYNC_COUNT",
  "STATUS_INFO",
  "STATUS_TABLE",
  "IS_REMOTE_RECOVERING",
]);

/** Whether the kernel uses the data of an answer whatever its length: what is missing is what was on its stack. CTR is none of
 * these, for it looks at the length. */
export function wantsData(name: RequestName): boolean {
  return WANT_DATA.has(name);
}
