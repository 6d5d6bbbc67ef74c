// Where a lock's name stands in a sidecar: the file, one for each mount and domain, whose byte ranges tell processes of
// one node about each other. What the bytes mean is for lib/dlmfs and dlmfs/acquire.cc to say.
#pragma once

#include <cstdint>
#include <string_view>

namespace clusterlock::dlmfs {

enum class RangeKind : uint8_t {
  kExclusion,  // whoever may hold the lock here, shared or exclusive
  kPending,    // shared: an open() of the lock file is under way
  kUsers,      // shared: the lock is held
};
constexpr uint8_t kRangeKinds = 3;

// How a range is taken. The numbers go over the wire.
enum class RangeType : uint8_t { kNone, kShared, kExclusive };
constexpr uint8_t kRangeTypes = 3;

// The byte of `kind`; those of a name lie side by side. 0 to 2^63-1. Two names may share theirs: then they wait for
// each other without need.
int64_t ByteOf(std::string_view name, RangeKind kind);

}  // namespace clusterlock::dlmfs
