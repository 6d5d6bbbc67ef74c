// The two layouts of the cluster log's packets, pinned byte by byte: a header that moves a field must break the build,
// not a mirror. Sources: include/uapi/linux/dm-log-userspace.h; and, of the layout that mainline grew from, the patch
// "cluster log, take 5" of June 2009, include/linux/dm-log-cluster.h, which is in no kernel's headers and is therefore
// written here.
#pragma once

#include <linux/connector.h>
#include <linux/dm-ioctl.h>
#include <linux/dm-log-userspace.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>

namespace clusterlock::clog {

struct dm_clog_request {
  char uuid[DM_UUID_LEN];
  char padding[7];
  int32_t error;
  uint32_t seq;
  uint32_t request_type;
  uint32_t data_size;
  // data follows
};

inline constexpr size_t kNetlinkHeader = NLMSG_HDRLEN;
inline constexpr size_t kHeaders = kNetlinkHeader + sizeof(cn_msg);  // what stands before the request

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lib/clog/protocol reads and writes little-endian packets");
static_assert(sizeof(nlmsghdr) == 16 && NLMSG_HDRLEN == 16 && NLMSG_DONE == 3);
static_assert(offsetof(nlmsghdr, nlmsg_len) == 0 && offsetof(nlmsghdr, nlmsg_type) == 4);
static_assert(sizeof(cn_msg) == 20 && kHeaders == 36);
static_assert(offsetof(cn_msg, id) == 0 && offsetof(cn_msg, seq) == 8 && offsetof(cn_msg, ack) == 12);
static_assert(offsetof(cn_msg, len) == 16 && offsetof(cn_msg, flags) == 18);
static_assert(CN_IDX_DM == 7 && CN_VAL_DM_USERSPACE_LOG == 1);

static_assert(DM_UUID_LEN == 129 && DM_ULOG_REQUEST_MASK == 0xff);
static_assert(sizeof(dm_ulog_request) == 160 && alignof(dm_ulog_request) == 8);
static_assert(offsetof(dm_ulog_request, luid) == 0 && offsetof(dm_ulog_request, uuid) == 8);
static_assert(offsetof(dm_ulog_request, version) == 140 && offsetof(dm_ulog_request, error) == 144);
static_assert(offsetof(dm_ulog_request, seq) == 148 && offsetof(dm_ulog_request, request_type) == 152);
static_assert(offsetof(dm_ulog_request, data_size) == 156 && offsetof(dm_ulog_request, data) == 160);

static_assert(sizeof(dm_clog_request) == 152 && alignof(dm_clog_request) == 4);
static_assert(offsetof(dm_clog_request, uuid) == 0 && offsetof(dm_clog_request, error) == 136);
static_assert(offsetof(dm_clog_request, seq) == 140 && offsetof(dm_clog_request, request_type) == 144);
static_assert(offsetof(dm_clog_request, data_size) == 148);

static_assert(DM_ULOG_CTR == 1 && DM_ULOG_DTR == 2 && DM_ULOG_PRESUSPEND == 3 && DM_ULOG_POSTSUSPEND == 4);
static_assert(DM_ULOG_RESUME == 5 && DM_ULOG_GET_REGION_SIZE == 6 && DM_ULOG_IS_CLEAN == 7 && DM_ULOG_IN_SYNC == 8);
static_assert(DM_ULOG_FLUSH == 9 && DM_ULOG_MARK_REGION == 10 && DM_ULOG_CLEAR_REGION == 11);
static_assert(DM_ULOG_GET_RESYNC_WORK == 12 && DM_ULOG_SET_REGION_SYNC == 13 && DM_ULOG_GET_SYNC_COUNT == 14);
static_assert(DM_ULOG_STATUS_INFO == 15 && DM_ULOG_STATUS_TABLE == 16 && DM_ULOG_IS_REMOTE_RECOVERING == 17);

}  // namespace clusterlock::clog
