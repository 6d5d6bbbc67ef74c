// open(2) of a lock file: the lock itself.
#pragma once

#include <functional>

#include "dlmfs/outcome.h"
#include "dlmfs/task.h"
#include "sys/unique_fd.h"

namespace clusterlock::dlmfs {

// First this node, then the cluster. Waits for the range kExclusion of the name on `sidecar`, where it stays taken for
// whoever passed that, and may do so when the rest fails or is cancelled; holds kPending on a description of its own
// while open() lasts. `phase` is called between the two; `gives_up` tells whether it is of no use to go on. ESTALE: the
// sidecar's path leads to another file by now.
Outcome Acquire(Task& task, sys::UniqueFd sidecar, const std::function<void()>& phase,
                const std::function<bool()>& gives_up);

}  // namespace clusterlock::dlmfs
