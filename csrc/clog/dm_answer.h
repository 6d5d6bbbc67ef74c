// What the kernel puts into the buffer of a device-mapper ioctl (drivers/md/dm-ioctl.c: list_devices, table_status).
// Trusts none of its offsets and lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clusterlock::clog {

struct DmTarget {
  uint64_t start = 0;  // sectors
  uint64_t length = 0;
  std::string type;
  std::string params;
};

struct DmStatus {
  std::string name;
  std::string uuid;
  uint32_t major = 0;
  uint32_t minor = 0;
  bool suspended = false;
  std::vector<DmTarget> targets;
};

// Whether the buffer was too small for the answer.
bool DmIsCut(const uint8_t* buffer, size_t size);

// Of DM_LIST_DEVICES: the devices' numbers, as DM_TABLE_STATUS takes them.
std::optional<std::vector<uint64_t>> ParseDmList(const uint8_t* buffer, size_t size);

// Of DM_TABLE_STATUS.
std::optional<DmStatus> ParseDmStatus(const uint8_t* buffer, size_t size);

}  // namespace clusterlock::clog
