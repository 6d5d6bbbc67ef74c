// What the kernel answers to device-mapper's ioctls: as it is, cut off anywhere, with offsets that lead astray, and
// noise.
#include <linux/dm-ioctl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "clog/dm_answer.h"
#include "rings/check.h"

using namespace clusterlock::clog;  // NOLINT: a test program

namespace {

using Buffer = std::vector<uint8_t>;

template <typename T>
void Put(Buffer& to, size_t at, const T& value) {
  if (to.size() < at + sizeof value) to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}

template <typename T>
T At(const Buffer& from, size_t at) {
  T out;
  std::memcpy(&out, from.data() + at, sizeof out);
  return out;
}

void PutText(Buffer& to, size_t at, const std::string& text) {
  if (to.size() < at + text.size() + 1) to.resize(at + text.size() + 1);
  std::memcpy(to.data() + at, text.c_str(), text.size() + 1);
}

size_t Align(size_t at) {
  return (at + 7) & ~size_t{7};
}

// drivers/md/dm-ioctl.c: retrieve_status
Buffer Status(const std::vector<DmTarget>& targets, uint32_t flags) {
  dm_ioctl header{};
  header.version[0] = 4;
  header.data_start = sizeof header;
  header.data_size = offsetof(dm_ioctl, data);
  header.target_count = static_cast<uint32_t>(targets.size());
  header.flags = flags;
  header.dev = 253 << 8 | 0x34 | 0x12 << 20;  // 253:0x1234
  std::strcpy(header.name, "a name");
  std::strcpy(header.uuid, "UUID");
  Buffer out;
  Put(out, 0, header);
  size_t at = sizeof header;
  for (const DmTarget& target : targets) {
    dm_target_spec spec{};
    spec.sector_start = target.start;
    spec.length = target.length;
    std::memcpy(spec.target_type, target.type.data(), std::min(target.type.size(), sizeof spec.target_type));
    const size_t end = at + sizeof spec + target.params.size() + 1;
    spec.next = static_cast<uint32_t>(Align(end - sizeof header));
    Put(out, at, spec);
    PutText(out, at + sizeof spec, target.params);
    header.data_size = static_cast<uint32_t>(end);
    at = sizeof header + spec.next;
  }
  out.resize(std::max<size_t>(at, sizeof header) + 64);
  Put(out, 0, header);
  return out;
}

// drivers/md/dm-ioctl.c: list_devices
Buffer List(const std::vector<uint64_t>& devices) {
  dm_ioctl header{};
  header.data_start = sizeof header;
  Buffer out;
  Put(out, 0, header);
  size_t at = sizeof header;
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string name = "device" + std::to_string(i);
    const size_t next = Align(at + offsetof(dm_name_list, name) + name.size() + 1) + 8;
    Put(out, at + offsetof(dm_name_list, dev), devices[i]);
    Put(out, at + offsetof(dm_name_list, next), static_cast<uint32_t>(i + 1 == devices.size() ? 0 : next - at));
    PutText(out, at + offsetof(dm_name_list, name), name);
    at = next;
  }
  out.resize(at + 64);
  header.data_size = static_cast<uint32_t>(at);
  Put(out, 0, header);
  return out;
}

// A heap block of exactly that size, so that the sanitizer sees any byte read beyond it.
template <typename Parse>
auto Exactly(const Buffer& bytes, size_t size, Parse parse) {
  const auto copy = std::make_unique<uint8_t[]>(size);
  if (size > 0) std::memcpy(copy.get(), bytes.data(), size);
  DmIsCut(copy.get(), size);
  return parse(copy.get(), size);
}

const std::vector<DmTarget> kTargets{
    {0, 8, "linear", "254:0 0"}, {8, 16, "mirror", "core 1 1024 2 254:0 0 254:16 0"}, {24, 1, "sixteen-letters!", ""}};

void Answers() {
  for (size_t count = 0; count <= kTargets.size(); ++count) {
    const std::vector<DmTarget> targets(kTargets.begin(), kTargets.begin() + static_cast<ptrdiff_t>(count));
    const Buffer buffer = Status(targets, count == 1 ? DM_SUSPEND_FLAG : DM_ACTIVE_PRESENT_FLAG);
    const auto status = Exactly(buffer, buffer.size(), ParseDmStatus);
    CHECK(status && status->name == "a name" && status->uuid == "UUID");
    CHECK(status->major == 253 && status->minor == 0x1234 && status->suspended == (count == 1));
    CHECK(status->targets.size() == count);
    for (size_t i = 0; i < count; ++i) {
      const DmTarget &is = status->targets[i], &was = targets[i];
      CHECK(is.start == was.start && is.length == was.length && is.type == was.type && is.params == was.params);
    }
  }
  for (const std::vector<uint64_t>& devices : {std::vector<uint64_t>{}, {64768}, {64768, 64769, 0xfff00ffff}}) {
    const Buffer buffer = List(devices);
    CHECK(Exactly(buffer, buffer.size(), ParseDmList) == devices);
  }
  // there is none, in a buffer that was there before
  Buffer none = List({});
  Put(none, offsetof(dm_ioctl, data_size), static_cast<uint32_t>(none.size()));
  CHECK(Exactly(none, none.size(), ParseDmList) == std::vector<uint64_t>{});
}

void Flags() {
  const Buffer full = Status({}, DM_BUFFER_FULL_FLAG);
  CHECK(DmIsCut(full.data(), full.size()) && !DmIsCut(full.data(), 8));
  const Buffer whole = Status({}, 0);
  CHECK(!DmIsCut(whole.data(), whole.size()));
}

// Wherever it is cut off, it is refused: half a table is none.
void Truncated() {
  const Buffer status = Status(kTargets, 0);
  const auto needed = At<uint32_t>(status, offsetof(dm_ioctl, data_size));
  for (size_t size = 0; size <= status.size(); ++size) {
    CHECK(Exactly(status, size, ParseDmStatus).has_value() == (size >= needed));
  }
  const Buffer list = List({1, 2, 3});
  for (size_t size = 0; size < At<uint32_t>(list, offsetof(dm_ioctl, data_size)); ++size) {
    CHECK(!Exactly(list, size, ParseDmList));
  }
}

void Astray() {
  const auto refuses = [](size_t at, uint32_t value) {
    Buffer buffer = Status(kTargets, 0);
    Put(buffer, at, value);
    return !Exactly(buffer, buffer.size(), ParseDmStatus);
  };
  CHECK(refuses(offsetof(dm_ioctl, data_size), 0xffffffff));
  CHECK(refuses(offsetof(dm_ioctl, data_start), 0xffffffff));
  CHECK(refuses(offsetof(dm_ioctl, data_start), 8));  // into the header
  CHECK(refuses(offsetof(dm_ioctl, target_count), 0xffffffff));
  constexpr size_t kNext = sizeof(dm_ioctl) + offsetof(dm_target_spec, next);
  for (const uint32_t next : {0U, 1U, 40U, 47U, 0x7fffffffU, 0xffffffffU}) CHECK(refuses(kNext, next));
  // the last one's leads nowhere, and counts for nothing
  Buffer one = Status({kTargets[0]}, 0);
  Put(one, kNext, 0xffffffffU);
  CHECK(Exactly(one, one.size(), ParseDmStatus));
  // a name that fills its field
  Buffer named = Status({}, 0);
  std::memset(named.data() + offsetof(dm_ioctl, name), 'n', DM_NAME_LEN);
  CHECK(Exactly(named, named.size(), ParseDmStatus)->name == std::string(DM_NAME_LEN, 'n'));

  for (const uint32_t next : {8U, 0x7fffffffU, 0xfffffff8U}) {
    Buffer list = List({1, 2});
    Put(list, sizeof(dm_ioctl) + offsetof(dm_name_list, next), next);
    const auto parsed = Exactly(list, list.size(), ParseDmList);
    CHECK(next == 8U || !parsed);
  }
}

void Noise() {
  std::mt19937 random(20261122);
  const Buffer status = Status(kTargets, 0);
  const Buffer list = List({1, 2, 3});
  for (int round = 0; round < 100'000; ++round) {
    for (const Buffer* whole : {&status, &list}) {
      Buffer bytes = *whole;
      for (unsigned i = random() % 6; i > 0; --i) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
      for (unsigned i = random() % 3; i > 0; --i) {
        bytes[sizeof(dm_ioctl) + random() % (bytes.size() - sizeof(dm_ioctl))] = static_cast<uint8_t>(random());
      }
      const size_t size = random() % 4 == 0 ? random() % bytes.size() : bytes.size();
      Exactly(bytes, size, ParseDmStatus);
      Exactly(bytes, size, ParseDmList);
    }
  }
}

}  // namespace

int main() {
  Answers();
  Flags();
  Truncated();
  Astray();
  Noise();
  return 0;
}
