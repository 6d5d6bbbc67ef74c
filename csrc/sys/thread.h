// Threads that may sleep in the kernel without limit. They are detached on purpose: a thread inside a stopped
// lockspace cannot be joined, not even by SIGKILL, so whatever they touch is owned by shared pointers.
#pragma once

#include <cstddef>
#include <functional>

namespace clusterlock::sys {

// Enough for a few frames and one system call; the C library's own default would reserve 8 MiB for each.
constexpr size_t kStackSize = size_t{256} * 1024;

// Runs `body` on a new detached thread with all signals blocked (they belong to Node's own threads).
// Throws std::system_error when the system has no thread to give.
void Detach(std::function<void()> body, size_t stack_size = kStackSize);

}  // namespace clusterlock::sys
