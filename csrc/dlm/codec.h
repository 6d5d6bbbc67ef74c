// Requests to bytes and bytes to results. Pure: no file descriptors, no threads, no N-API.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dlm/abi.h"

namespace clusterlock::dlm {

// Names one lock of one handle for its whole life. The kernel hands it back untouched with every AST and BAST; a lkid
// would not do, because newer kernels reuse it before its last AST has been read.
struct Cookie {
  uint32_t slot = 0;
  uint32_t generation = 0;  // never 0: the kernel ignores a zero castparam of an unlock
};

enum class OpKind : uint8_t {
  kLock = 0,
  kConvert = 1,
  kUnlock = 2,
  kCancel = 3,
  kDeadlock = 4,  // a cancel whose outcome is -EDEADLK
  kAdopt = 5,     // takes over an orphan; the kernel answers in the call and sends no AST
  kPurge = 6,     // drops the orphans of `purge`
  kDropAll = 7,   // drops every lock and request of the handle; the kernel sends no ASTs for them
  kFind = 8       // not for the kernel: which slot has the lock `lkid`?
};
inline constexpr uint32_t kOpKinds = 9;

struct Op {
  OpKind kind = OpKind::kLock;
  uint8_t mode = 0;    // DLM_LOCK_NL..DLM_LOCK_EX
  bool bast = false;   // ask for blocking notices
  uint32_t flags = 0;  // DLM_LKF_*; the kind's own flag (CONVERT, CANCEL, ORPHAN) is added by the codec
  Cookie cookie;
  uint64_t xid = 0;   // the user's tag, shown by debugfs
  uint32_t lkid = 0;  // kFind
  uint32_t from = 0;  // kFind: the first slot to look at
  struct {
    uint32_t nodeid = 0;  // 0: this node
    uint32_t pid = 0;     // 0: of whoever it was
  } purge;
  uint8_t name_size = 0;
  std::array<uint8_t, kNameMax> name{};
  std::array<uint8_t, kLvbSize> lvb{};  // always sent: an unlock of PW/EX after VALBLK writes what stands here
};

struct Request {
  size_t size = 0;
  alignas(8) std::array<uint8_t, kRequestMax> bytes{};
};

struct Result {
  Cookie cookie;
  bool bast = false;
  uint8_t bast_mode = 0;
  int32_t status = 0;  // 0, a negative errno, -DLM_ECANCEL or -DLM_EUNLOCK; meaningless in a BAST
  uint8_t sb_flags = 0;
  uint32_t lkid = 0;
  bool has_lvb = false;
  std::array<uint8_t, kLvbSize> lvb{};
};

struct Version {
  uint32_t major = 0, minor = 0, patch = 0;
  // fs/dlm/user.c:check_version() refuses requests of another major number; ours carry minor 0, which is never too new.
  bool Compatible() const { return major == DLM_DEVICE_VERSION_MAJOR; }
};

// `lkid` names the kernel's lock for convert, unlock and cancel; ignored for a new lock and an adopted one.
Request EncodeOp(const Op& op, uint32_t lkid);
// `pid` is a thread's id. The calling thread's own together with this node means every lock of the handle instead of
// orphans (fs/dlm/lock.c:dlm_user_purge()).
Request EncodePurge(uint32_t nodeid, uint32_t pid);
// EEXIST when this node has it already: creations are counted, and a second one would have to be given back.
Request EncodeCreate(std::string_view lockspace);
// `force`: although there are locks in it (DLM_USER_LSFLG_FORCEFREE).
Request EncodeRemove(uint32_t minor, bool force);

// One segment as read(2) filled it: 72 bytes, or 104 with a value block. Anything else is no result.
std::optional<Result> DecodeResult(const uint8_t* bytes, size_t size);
std::optional<Version> DecodeVersion(const uint8_t* bytes, size_t size);

}  // namespace clusterlock::dlm
