// What Node and an opener say to each other, and its bytes. Both ends are of one build: the opener's first packet has
// the version, and anything else than the same ends the conversation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dlmfs/range.h"

namespace clusterlock::dlmfs {

constexpr uint32_t kProtocol = 1;
constexpr size_t kTextMax = 4096;               // PATH_MAX
constexpr size_t kPacketMax = size_t{1} << 16;  // nothing that is sent is longer
constexpr size_t kPartMax = size_t{1} << 14;    // from here on an answer goes on in another packet
constexpr uint32_t kLeave = ~0U;                // of mode, uid and gid: not said

enum class Op : uint8_t {
  kAcquire,
  kSidecar,
  kMkdir,
  kRestore,
  kRmdir,
  kUnlink,
  kCreate,
  kList,
  kStat,
  kStatus,
  kCancel,  // of the request with the same id
};
constexpr uint8_t kOps = 11;

struct Request {
  uint32_t id = 0;
  Op op = Op::kStatus;
  RangeType range = RangeType::kNone;
  int32_t flags = 0;  // of open(2)
  uint32_t mode = kLeave;
  uint32_t uid = kLeave;
  uint32_t gid = kLeave;
  std::string path;
  std::string name;
  std::string sidecar_path;
  std::string gate_path;
  std::string name_path;
  std::string name_lock_path;
};

enum class ReplyKind : uint8_t {
  kHello,  // the first: id is the version, value the opener's process id
  kPhase,  // the local wait is over
  kPart,   // names or status, and more to come
  kDone,
};
constexpr uint8_t kReplyKinds = 4;

enum class Phase : uint8_t { kLocal, kKernel };

struct FileStat {
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct TaskStatus {
  uint32_t id = 0;
  Phase phase = Phase::kLocal;
  int32_t tid = 0;
  uint64_t ms = 0;
};

struct Reply {
  uint32_t id = 0;
  ReplyKind kind = ReplyKind::kDone;
  int32_t error = 0;    // errno
  std::string syscall;  // that failed
  bool file = false;    // a descriptor comes along
  int64_t value = 0;
  std::optional<FileStat> stat;
  std::vector<std::string> names;
  std::vector<TaskStatus> status;
};

std::vector<uint8_t> Encode(const Request& request);
std::vector<uint8_t> Encode(const Reply& reply);

// Nothing for what Encode() cannot have made.
std::optional<Request> DecodeRequest(const uint8_t* bytes, size_t size);
std::optional<Reply> DecodeReply(const uint8_t* bytes, size_t size);

}  // namespace clusterlock::dlmfs
