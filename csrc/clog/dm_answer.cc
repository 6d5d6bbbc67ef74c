#include "clog/dm_answer.h"

#include <linux/dm-ioctl.h>

#include <algorithm>
#include <cstring>

namespace clusterlock::clog {
namespace {

template <typename T>
bool Load(const uint8_t* buffer, size_t size, size_t at, T* out) {
  if (at > size || size - at < sizeof *out) return false;
  std::memcpy(out, buffer + at, sizeof *out);
  return true;
}

// The header, and where the data are: [begin, end) of the buffer.
struct Frame {
  dm_ioctl header{};
  size_t begin = 0;
  size_t end = 0;
};

std::optional<Frame> ParseFrame(const uint8_t* buffer, size_t size) {
  Frame out;
  if (!Load(buffer, size, 0, &out.header)) return std::nullopt;
  // Without data, data_size is the header's without its last padding.
  out.begin = out.header.data_start;
  out.end = std::max<size_t>(out.header.data_size, out.begin);
  if (out.begin < offsetof(dm_ioctl, data) || out.end > size) return std::nullopt;
  return out;
}

std::string Text(const char* bytes, size_t limit) {
  return {bytes, ::strnlen(bytes, limit)};
}

}  // namespace

bool DmIsCut(const uint8_t* buffer, size_t size) {
  dm_ioctl header{};
  return Load(buffer, size, 0, &header) && (header.flags & DM_BUFFER_FULL_FLAG) != 0;
}

std::optional<std::vector<uint64_t>> ParseDmList(const uint8_t* buffer, size_t size) {
  const auto frame = ParseFrame(buffer, size);
  if (!frame) return std::nullopt;
  std::vector<uint64_t> out;
  size_t at = frame->begin;
  if (at == frame->end) return out;  // there is none
  for (;;) {
    uint64_t dev = 0;
    uint32_t next = 0;
    if (!Load(buffer, frame->end, at + offsetof(dm_name_list, dev), &dev)) return std::nullopt;
    if (!Load(buffer, frame->end, at + offsetof(dm_name_list, next), &next)) return std::nullopt;
    if (dev == 0) return out;  // there is none
    out.push_back(dev);
    if (next == 0) return out;
    at += next;
  }
}

std::optional<DmStatus> ParseDmStatus(const uint8_t* buffer, size_t size) {
  const auto frame = ParseFrame(buffer, size);
  if (!frame) return std::nullopt;
  const dm_ioctl& header = frame->header;
  DmStatus out;
  out.name = Text(header.name, sizeof header.name);
  out.uuid = Text(header.uuid, sizeof header.uuid);
  // include/linux/kdev_t.h: new_decode_dev
  out.major = static_cast<uint32_t>((header.dev & 0xfff00) >> 8);
  out.minor = static_cast<uint32_t>((header.dev & 0xff) | ((header.dev >> 12) & 0xfff00));
  out.suspended = (header.flags & DM_SUSPEND_FLAG) != 0;
  size_t at = frame->begin;
  for (uint32_t i = 0; i < header.target_count; ++i) {
    dm_target_spec spec{};
    if (!Load(buffer, frame->end, at, &spec)) return std::nullopt;
    const size_t from = at + sizeof spec;
    const char* params = reinterpret_cast<const char*>(buffer) + from;
    const size_t length = ::strnlen(params, frame->end - from);
    if (length == frame->end - from) return std::nullopt;  // without its NUL
    out.targets.push_back(
        {spec.sector_start, spec.length, Text(spec.target_type, sizeof spec.target_type), std::string(params, length)});
    // from the first one on; at least a step ahead, so that this ends
    const size_t next = frame->begin + spec.next;
    if (i + 1 < header.target_count && next <= from + length) return std::nullopt;
    at = next;
  }
  return out;
}

}  // namespace clusterlock::clog
