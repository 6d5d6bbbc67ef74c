#include "dlmfs/range.h"

namespace clusterlock::dlmfs {

int64_t ByteOf(std::string_view name, RangeKind kind) {
  // FNV-1a, folded to 61 bits; every process of the node has to compute the same
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : name) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  constexpr int kBits = 61;
  hash = (hash ^ (hash >> kBits)) & ((uint64_t{1} << kBits) - 1);
  return static_cast<int64_t>(hash * 4 + static_cast<uint64_t>(kind));
}

}  // namespace clusterlock::dlmfs
