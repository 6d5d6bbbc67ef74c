// A table of descriptors for one thread.
#pragma once

#include <cstddef>
#include <vector>

namespace clusterlock::sys {

// Gives the calling thread a table of its own with nothing but `keep` in it. A thread that the kernel will not let go
// then pins nobody else's files: they close when the process is killed, although the thread sleeps on. False: the
// thread goes on with the table that it shares with the process (a sandbox forbids unshare(2)).
bool OwnTable(std::vector<int> keep);

// Closes every descriptor of the calling thread's table but the `count` of `keep`, which it sorts. Takes no memory: for
// the child of a fork() too.
void CloseOthers(int* keep, size_t count);

}  // namespace clusterlock::sys
