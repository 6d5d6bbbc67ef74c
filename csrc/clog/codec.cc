#include "clog/codec.h"

#include <cstring>

#include "clog/abi.h"

namespace clusterlock::clog {
namespace {

static_assert(kUuidSize == DM_UUID_LEN && kTypes == DM_ULOG_IS_REMOTE_RECOVERING);
static_assert(kHeaders + sizeof(dm_ulog_request) + sizeof(uint64_t) <= kDatagramMax);

struct Layout {
  size_t size, uuid, error, seq, type, data_size;
};
constexpr Layout kUlogLayout = {
    sizeof(dm_ulog_request),        offsetof(dm_ulog_request, uuid),         offsetof(dm_ulog_request, error),
    offsetof(dm_ulog_request, seq), offsetof(dm_ulog_request, request_type), offsetof(dm_ulog_request, data_size)};
constexpr Layout kClogLayout = {
    sizeof(dm_clog_request),        offsetof(dm_clog_request, uuid),         offsetof(dm_clog_request, error),
    offsetof(dm_clog_request, seq), offsetof(dm_clog_request, request_type), offsetof(dm_clog_request, data_size)};

// Nothing in a packet is aligned to 8 bytes.
template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}
template <typename T>
void Store(uint8_t* bytes, T value) {
  std::memcpy(bytes, &value, sizeof(value));
}

uint32_t TypeOf(const Layout& layout, const uint8_t* body) {
  return Load<uint32_t>(body + layout.type) & DM_ULOG_REQUEST_MASK;  // the other bits are reserved
}

// The lengths and the type alone do not tell the layouts apart: an older request for region 5 has 8 bytes of data, and
// read as a newer one, it is a RESUME without any. But then its error is the older one's type, and a request's error is
// 0; and its number is not the connector header's.
bool Fits(const Layout& layout, const uint8_t* body, size_t length, uint32_t seq) {
  if (length < layout.size || Load<uint32_t>(body + layout.data_size) != length - layout.size) return false;
  const uint32_t type = TypeOf(layout, body);
  return type >= 1 && type <= kTypes && Load<uint32_t>(body + layout.error) == 0 &&
         Load<uint32_t>(body + layout.seq) == seq;
}

constexpr uint32_t kRegion = sizeof(uint64_t);
constexpr uint32_t kGroupMax = 32 * kRegion;  // dm-log-userspace-base.c: MAX_FLUSH_GROUP_COUNT

bool IsGroup(const Request& request, uint32_t least) {
  if (request.flavour == Flavour::kClog) return request.payload_size == least;  // never more than one at a time
  return request.payload_size >= least && request.payload_size <= kGroupMax && request.payload_size % kRegion == 0;
}

bool IsPayload(const Request& request) {
  switch (request.type) {
    case Type::kCtr:  // a NUL can only be its end
      return request.payload_size > 0 && request.payload[0] != 0 &&
             std::memchr(request.payload, 0, request.payload_size - 1) == nullptr;
    case Type::kIsClean:
    case Type::kInSync:
    case Type::kIsRemoteRecovering:
      return request.payload_size == kRegion;
    case Type::kFlush:
      return IsGroup(request, 0);
    case Type::kMarkRegion:
    case Type::kClearRegion:
      return IsGroup(request, kRegion);
    case Type::kSetRegionSync:
      return request.payload_size == kRegion + sizeof(int64_t);
    default:
      return request.payload_size == 0;
  }
}

size_t EncodeHeaders(uint32_t seq, uint32_t ack, size_t length, uint8_t* out) {
  nlmsghdr netlink{};
  netlink.nlmsg_len = static_cast<uint32_t>(kHeaders + length);
  netlink.nlmsg_type = NLMSG_DONE;
  cn_msg connector{};
  connector.id = {CN_IDX_DM, CN_VAL_DM_USERSPACE_LOG};
  connector.seq = seq;
  connector.ack = ack;
  connector.len = static_cast<uint16_t>(length);
  std::memcpy(out, &netlink, sizeof(netlink));
  std::memcpy(out + kNetlinkHeader, &connector, sizeof(connector));
  return netlink.nlmsg_len;
}

size_t EncodeFull(const Request& request, int error, const void* data, size_t size, uint8_t* out) {
  const bool ulog = request.flavour == Flavour::kUlog;
  const Layout& layout = ulog ? kUlogLayout : kClogLayout;
  uint8_t* const body = out + kHeaders;
  std::memset(body, 0, layout.size);
  if (ulog) {
    Store(body + offsetof(dm_ulog_request, luid), request.luid);
    Store(body + offsetof(dm_ulog_request, version), request.version);
  }
  std::memcpy(body + layout.uuid, request.uuid.data(), request.uuid.size());
  Store(body + layout.error, static_cast<int32_t>(error));
  Store(body + layout.seq, request.seq);
  Store(body + layout.type, static_cast<uint32_t>(request.type));
  Store(body + layout.data_size, static_cast<uint32_t>(size));
  if (size > 0) std::memcpy(body + layout.size, data, size);
  return EncodeHeaders(request.cn_seq, 0, layout.size + size, out);
}

}  // namespace

const char* Decode(const uint8_t* datagram, size_t size, Request* out) {
  if (size < kHeaders) return "it is shorter than its headers";
  const auto length = Load<uint32_t>(datagram + offsetof(nlmsghdr, nlmsg_len));
  if (length < kHeaders) return "its netlink length is less than its headers";
  if (length > size) return "its netlink length is more than was received";
  if (Load<uint16_t>(datagram + offsetof(nlmsghdr, nlmsg_type)) != NLMSG_DONE) return "its netlink type is not DONE";
  const uint8_t* const connector = datagram + kNetlinkHeader;
  const auto id = Load<cb_id>(connector + offsetof(cn_msg, id));
  if (id.idx != CN_IDX_DM || id.val != CN_VAL_DM_USERSPACE_LOG) return "its connector id is not 7:1";
  const auto body_size = Load<uint16_t>(connector + offsetof(cn_msg, len));
  if (body_size > length - kHeaders) return "its connector length is more than its netlink length";
  if (Load<uint32_t>(connector + offsetof(cn_msg, ack)) != 0) return "it is an acknowledgement";

  const uint8_t* const body = datagram + kHeaders;
  Request request;
  request.seq = request.cn_seq = Load<uint32_t>(connector + offsetof(cn_msg, seq));
  if (Fits(kUlogLayout, body, body_size, request.seq)) {
    request.flavour = Flavour::kUlog;
    request.luid = Load<uint64_t>(body + offsetof(dm_ulog_request, luid));
    request.version = Load<uint32_t>(body + offsetof(dm_ulog_request, version));
  } else if (Fits(kClogLayout, body, body_size, request.seq)) {
    request.flavour = Flavour::kClog;
  } else {
    return "it is a request of neither layout";
  }
  const Layout& layout = request.flavour == Flavour::kUlog ? kUlogLayout : kClogLayout;
  const auto* const uuid = reinterpret_cast<const char*>(body + layout.uuid);
  const size_t uuid_size = strnlen(uuid, kUuidSize);
  if (uuid_size == 0) return "its uuid is empty";
  if (uuid_size == kUuidSize) return "its uuid has no end";
  request.uuid = {uuid, uuid_size};
  request.type = static_cast<Type>(TypeOf(layout, body));
  request.payload = body + layout.size;
  request.payload_size = static_cast<uint32_t>(body_size - layout.size);
  if (!IsPayload(request)) return "its data is not of its type";
  *out = request;
  return nullptr;
}

size_t RegionCount(const Request& request) {
  return request.payload_size / kRegion;
}

uint64_t RegionAt(const Request& request, size_t index) {
  return Load<uint64_t>(request.payload + index * kRegion);
}

size_t EncodeDone(const Request& request, int error, uint8_t* out) {
  return EncodeFull(request, error, nullptr, 0, out);
}

size_t EncodeFlag(const Request& request, bool yes, uint8_t* out) {
  const int64_t wide = yes ? 1 : 0;
  const int32_t narrow = yes ? 1 : 0;
  return request.flavour == Flavour::kUlog ? EncodeFull(request, 0, &wide, sizeof(wide), out)
                                           : EncodeFull(request, 0, &narrow, sizeof(narrow), out);
}

size_t EncodeAck(const Request& request, int positive_errno, uint8_t* out) {
  return EncodeHeaders(request.cn_seq, static_cast<uint32_t>(positive_errno), 0, out);
}

}  // namespace clusterlock::clog
