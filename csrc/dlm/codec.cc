#include "dlm/codec.h"

#include <algorithm>
#include <cstring>

namespace clusterlock::dlm {
namespace {

// Opaque to the kernel, which only wants them non-zero and tells a BAST from a cast by which one it returns.
constexpr uint64_t kCastAddress = 1;
constexpr uint64_t kBastAddress = 2;
constexpr uint64_t kLksbAddress = 1;

uint64_t Pack(Cookie cookie) {
  return (static_cast<uint64_t>(cookie.generation) << 32) | cookie.slot;
}
void* Opaque(uint64_t value) {
  return reinterpret_cast<void*>(value);  // NOLINT(performance-no-int-to-ptr): never dereferenced by anybody
}
Cookie Unpack(uint64_t value) {
  return {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
}

dlm_write_request Header(uint8_t cmd) {
  dlm_write_request request{};
  request.version[0] = DLM_DEVICE_VERSION_MAJOR;
  request.version[1] = DLM_DEVICE_VERSION_MINOR;
  request.version[2] = DLM_DEVICE_VERSION_PATCH;
  request.cmd = cmd;
  request.is64bit = 1;
  return request;
}

uint8_t Command(OpKind kind) {
  switch (kind) {
    case OpKind::kLock:
    case OpKind::kConvert:
    case OpKind::kAdopt:
      return DLM_USER_LOCK;
    case OpKind::kDeadlock:
      return DLM_USER_DEADLOCK;
    default:
      return DLM_USER_UNLOCK;
  }
}

uint32_t OwnFlag(OpKind kind) {
  switch (kind) {
    case OpKind::kConvert:
      return DLM_LKF_CONVERT;
    case OpKind::kCancel:
    case OpKind::kDeadlock:  // without it the kernel would not look whether there is anything to cancel
      return DLM_LKF_CANCEL;
    case OpKind::kAdopt:
      return DLM_LKF_ORPHAN;
    default:
      return 0;
  }
}

Request Finish(const dlm_write_request& request) {
  Request out;
  out.size = kRequestSize;
  std::memcpy(out.bytes.data(), &request, kRequestSize);
  return out;
}

}  // namespace

Request EncodeOp(const Op& op, uint32_t lkid) {
  const bool is_lock = op.kind == OpKind::kLock || op.kind == OpKind::kAdopt;
  const bool takes_mode = is_lock || op.kind == OpKind::kConvert;
  dlm_write_request request = Header(Command(op.kind));
  dlm_lock_params& params = request.i.lock;
  params.flags = op.flags | OwnFlag(op.kind);
  params.mode = takes_mode ? op.mode : 0;
  params.lkid = is_lock ? 0 : lkid;
  params.xid = op.xid;
  params.castparam = params.bastparam = Opaque(Pack(op.cookie));
  params.castaddr = Opaque(kCastAddress);
  params.bastaddr = op.bast ? Opaque(kBastAddress) : nullptr;
  params.lksb = static_cast<dlm_lksb*>(Opaque(kLksbAddress));
  std::memcpy(params.lvb, op.lvb.data(), kLvbSize);
  if (!is_lock) return Finish(request);

  const size_t name_size = std::min<size_t>(op.name_size, kNameMax);
  params.namelen = static_cast<uint8_t>(name_size);
  Request out = Finish(request);
  std::memcpy(out.bytes.data() + kRequestSize, op.name.data(), name_size);
  out.size += name_size;
  return out;
}

Request EncodePurge(uint32_t nodeid, uint32_t pid) {
  dlm_write_request request = Header(DLM_USER_PURGE);
  request.i.purge.nodeid = nodeid;
  request.i.purge.pid = pid;
  return Finish(request);
}

Request EncodeCreate(std::string_view lockspace) {
  dlm_write_request request = Header(DLM_USER_CREATE_LOCKSPACE);
  request.i.lspace.flags = DLM_LSFL_NEWEXCL;
  // The name lies inside the fixed part: 16 + 8 + 64 <= 120, so zero padding also terminates it.
  Request out = Finish(request);
  constexpr size_t kNameOffset = offsetof(dlm_write_request, i) + offsetof(dlm_lspace_params, name);
  static_assert(kNameOffset + kLockspaceNameMax < kRequestSize);
  std::memcpy(out.bytes.data() + kNameOffset, lockspace.data(), std::min(lockspace.size(), kLockspaceNameMax));
  return out;
}

Request EncodeRemove(uint32_t minor, bool force) {
  dlm_write_request request = Header(DLM_USER_REMOVE_LOCKSPACE);
  request.i.lspace.minor = minor;
  request.i.lspace.flags = force ? DLM_USER_LSFLG_FORCEFREE : 0;
  return Finish(request);
}

std::optional<Result> DecodeResult(const uint8_t* bytes, size_t size) {
  if (size != kResultSize && size != kResultLvbSize) return std::nullopt;
  dlm_lock_result raw;
  std::memcpy(&raw, bytes, kResultSize);
  // A BAST may come without its address: 6.1 looks for one when it queues the notice, but hands out the one that stands
  // there when it is read, and a conversion written in between may have taken it away (user.c:dlm_user_add_ast(),
  // copy_result_to_user()). A cast always has one.
  if (raw.user_astaddr == nullptr && raw.bast_mode == 0) return std::nullopt;

  Result out;
  out.cookie = Unpack(reinterpret_cast<uint64_t>(raw.user_astparam));
  out.bast = raw.bast_mode != 0;
  out.bast_mode = raw.bast_mode;
  out.status = raw.lksb.sb_status;
  out.sb_flags = static_cast<uint8_t>(raw.lksb.sb_flags);
  out.lkid = raw.lksb.sb_lkid;
  out.has_lvb = size == kResultLvbSize && raw.lvb_offset == kResultSize;
  if (out.has_lvb) std::memcpy(out.lvb.data(), bytes + kResultSize, kLvbSize);
  return out;
}

std::optional<Version> DecodeVersion(const uint8_t* bytes, size_t size) {
  if (size != kVersionSize) return std::nullopt;
  dlm_device_version raw;
  std::memcpy(&raw, bytes, kVersionSize);
  return Version{raw.version[0], raw.version[1], raw.version[2]};
}

}  // namespace clusterlock::dlm
