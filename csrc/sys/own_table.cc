#include "sys/own_table.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace clusterlock::sys {
namespace {

constexpr long kCloseRange = 436;  // by number: the C library of a supported system may be older than the wrapper
constexpr unsigned kUnshare = 2;   // CLOSE_RANGE_UNSHARE
constexpr unsigned kHighest = ~0U;

// False before Linux 5.9.
bool CloseRange(unsigned first, unsigned last, unsigned flags) {
  return ::syscall(kCloseRange, first, last, flags) == 0;
}

void CloseEach(unsigned first, unsigned last) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; ++fd) ::close(static_cast<int>(fd));
}

void Close(unsigned first, unsigned last) {
  if (first <= last && !CloseRange(first, last, 0)) CloseEach(first, last);
}

}  // namespace

void CloseOthers(int* keep, size_t count) {
  std::sort(keep, keep + count);
  unsigned from = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto kept = static_cast<unsigned>(keep[i]);
    if (kept > from) Close(from, kept - 1);
    from = kept + 1;
  }
  Close(from, kHighest);
}

bool OwnTable(std::vector<int> keep) {
  const int highest = *std::max_element(keep.begin(), keep.end());
  // What lies above is not even copied.
  const bool own = CloseRange(static_cast<unsigned>(highest) + 1, kHighest, kUnshare) || ::unshare(CLONE_FILES) == 0;
  if (own) CloseOthers(keep.data(), keep.size());
  return own;
}

}  // namespace clusterlock::sys
