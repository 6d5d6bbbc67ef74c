// Byte ranges that are locked for an open file description, whichever process or thread asks for them.
#pragma once

#include <cstdint>

namespace clusterlock::sys {

enum class RangeWait : bool { kNo, kYes };

// 0 or -errno: EAGAIN when another description has some of it and there is no waiting. `type` is F_RDLCK, F_WRLCK or
// F_UNLCK.
int LockRange(int fd, int64_t from, int64_t size, int16_t type, RangeWait wait);

}  // namespace clusterlock::sys
