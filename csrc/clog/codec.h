// The kernel's requests from bytes, and the answers that the receive thread gives to bytes. Pure: no descriptors, no
// threads, no N-API. lib/clog/protocol reads the same packets by the same rules; test/golden/clog holds both to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace clusterlock::clog {

// kUlog: struct dm_ulog_request of the mainline kernel. kClog: struct dm_clog_request of the patch it grew from,
// without luid and version, and with answers of 4 bytes to IN_SYNC and IS_CLEAN.
enum class Flavour : uint8_t { kUlog, kClog };

constexpr size_t kUuidSize = 129;  // with its NUL
// No request and no answer is longer: the kernels give a request 512 bytes, or 656 in the older layout, after the
// netlink header.
constexpr size_t kDatagramMax = 1024;

enum class Type : uint32_t {
  kCtr = 1,
  kDtr,
  kPresuspend,
  kPostsuspend,
  kResume,
  kGetRegionSize,
  kIsClean,
  kInSync,
  kFlush,
  kMarkRegion,
  kClearRegion,
  kGetResyncWork,
  kSetRegionSync,
  kGetSyncCount,
  kStatusInfo,
  kStatusTable,
  kIsRemoteRecovering,
};
constexpr uint32_t kTypes = 17;

// Points into the datagram that it was decoded from.
struct Request {
  Flavour flavour = Flavour::kUlog;
  uint64_t luid = 0;      // 0 of kClog
  std::string_view uuid;  // 1 to 128 bytes, none of them NUL
  uint32_t version = 0;   // 0 of kClog, and of kernels older than the field
  uint32_t seq = 0;
  uint32_t cn_seq = 0;  // the connector header's: the same
  Type type = Type::kCtr;
  const uint8_t* payload = nullptr;
  uint32_t payload_size = 0;
};

// nullptr, or what is wrong with it; the text stays. `size` is what was received, which may be more than the packet:
// the kernel pads it, and the lengths in the headers count.
const char* Decode(const uint8_t* datagram, size_t size, Request* out);

// How many regions MARK_REGION, CLEAR_REGION or FLUSH names.
size_t RegionCount(const Request& request);
// Of requests whose payload begins with regions; `index` is below RegionCount(), or 0 of the requests for one region.
uint64_t RegionAt(const Request& request, size_t index);

// Each writes a whole datagram to `out`, which has room for kDatagramMax, and returns its size.

// Without data. `error`: 0 or a negative errno. For CTR and the requests that want no data: another would use whatever
// its caller had on the stack.
size_t EncodeDone(const Request& request, int error, uint8_t* out);
// For IN_SYNC and IS_CLEAN.
size_t EncodeFlag(const Request& request, bool yes, uint8_t* out);
// The connector header alone. 0 or a positive errno; EAGAIN: ask again, which the kernel does at once. The only form in
// which a request that wants data can be told an error and be asked again
// (drivers/md/dm-log-userspace-transfer.c:fill_pkg()).
size_t EncodeAck(const Request& request, int positive_errno, uint8_t* out);

}  // namespace clusterlock::clog
