#include "dlmfs/packet.h"

#include <cstring>
#include <type_traits>

namespace clusterlock::dlmfs {
namespace {

class Writer {
 public:
  template <typename T>
  void Put(T value) {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    const auto* from = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
  }
  void Put(const std::string& text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size) : at_(bytes), left_(size) {}

  template <typename T>
  bool Get(T* out) {
    if (left_ < sizeof *out) return false;
    std::memcpy(out, at_, sizeof *out);
    at_ += sizeof *out;
    left_ -= sizeof *out;
    return true;
  }
  bool Get(std::string* out) {
    uint32_t size = 0;
    if (!Get(&size) || size > left_ || size > kTextMax) return false;
    out->assign(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    left_ -= size;
    return true;
  }
  bool Get(bool* out) {
    uint8_t byte = 0;
    if (!Get(&byte) || byte > 1) return false;
    *out = byte == 1;
    return true;
  }
  // A number below `count`.
  template <typename E>
  bool GetEnum(E* out, uint8_t count) {
    uint8_t byte = 0;
    if (!Get(&byte) || byte >= count) return false;
    *out = static_cast<E>(byte);
    return true;
  }
  bool AtEnd() const { return left_ == 0; }

 private:
  const uint8_t* at_;
  size_t left_;
};

bool Get(Reader& in, TaskStatus* out) {
  return in.Get(&out->id) && in.GetEnum(&out->phase, 2) && in.Get(&out->tid) && in.Get(&out->ms);
}

bool Get(Reader& in, std::optional<FileStat>* out) {
  bool there = false;
  if (!in.Get(&there)) return false;
  if (!there) return true;
  FileStat& stat = out->emplace();
  return in.Get(&stat.dev) && in.Get(&stat.ino) && in.Get(&stat.mode) && in.Get(&stat.uid) && in.Get(&stat.gid);
}

}  // namespace

std::vector<uint8_t> Encode(const Request& request) {
  Writer out;
  out.Put(request.id);
  out.Put(request.op);
  out.Put(request.range);
  out.Put(request.flags);
  for (const uint32_t number : {request.mode, request.uid, request.gid}) out.Put(number);
  out.Put(request.path);
  out.Put(request.name);
  out.Put(request.sidecar_path);
  out.Put(request.gate_path);
  out.Put(request.name_path);
  out.Put(request.name_lock_path);
  return out.Take();
}

std::optional<Request> DecodeRequest(const uint8_t* bytes, size_t size) {
  Reader in(bytes, size);
  Request out;
  const bool whole = in.Get(&out.id) && in.GetEnum(&out.op, kOps) && in.GetEnum(&out.range, kRangeTypes) &&
                     in.Get(&out.flags) && in.Get(&out.mode) && in.Get(&out.uid) && in.Get(&out.gid) &&
                     in.Get(&out.path) && in.Get(&out.name) && in.Get(&out.sidecar_path) && in.Get(&out.gate_path) &&
                     in.Get(&out.name_path) && in.Get(&out.name_lock_path) && in.AtEnd();
  if (!whole) return std::nullopt;
  return out;
}

std::vector<uint8_t> Encode(const Reply& reply) {
  Writer out;
  out.Put(reply.id);
  out.Put(reply.kind);
  out.Put(reply.error);
  out.Put(reply.syscall);
  out.Put(reply.file);
  out.Put(reply.value);
  out.Put(reply.stat.has_value());
  if (reply.stat) {
    out.Put(reply.stat->dev);
    out.Put(reply.stat->ino);
    for (const uint32_t number : {reply.stat->mode, reply.stat->uid, reply.stat->gid}) out.Put(number);
  }
  out.Put(static_cast<uint32_t>(reply.names.size()));
  for (const std::string& name : reply.names) out.Put(name);
  out.Put(static_cast<uint32_t>(reply.status.size()));
  for (const TaskStatus& status : reply.status) {
    out.Put(status.id);
    out.Put(status.phase);
    out.Put(status.tid);
    out.Put(status.ms);
  }
  return out.Take();
}

std::optional<Reply> DecodeReply(const uint8_t* bytes, size_t size) {
  Reader in(bytes, size);
  Reply out;
  const bool head = in.Get(&out.id) && in.GetEnum(&out.kind, kReplyKinds) && in.Get(&out.error) &&
                    in.Get(&out.syscall) && in.Get(&out.file) && in.Get(&out.value) && Get(in, &out.stat);
  if (!head) return std::nullopt;
  // counts are believed one element at a time: a packet cannot ask for more memory than it has bytes
  uint32_t count = 0;
  if (!in.Get(&count)) return std::nullopt;
  for (; count > 0; --count) {
    if (!in.Get(&out.names.emplace_back())) return std::nullopt;
  }
  if (!in.Get(&count)) return std::nullopt;
  for (; count > 0; --count) {
    if (!Get(in, &out.status.emplace_back())) return std::nullopt;
  }
  if (!in.AtEnd()) return std::nullopt;
  return out;
}

}  // namespace clusterlock::dlmfs
