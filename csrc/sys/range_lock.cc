#include "sys/range_lock.h"

#include <fcntl.h>

#include <cerrno>

namespace clusterlock::sys {

int LockRange(int fd, int64_t from, int64_t size, int16_t type, RangeWait wait) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = from;
  range.l_len = size;
  if (::fcntl(fd, wait == RangeWait::kYes ? F_OFD_SETLKW : F_OFD_SETLK, &range) == 0) return 0;
  return errno == EACCES ? -EAGAIN : -errno;
}

}  // namespace clusterlock::sys
