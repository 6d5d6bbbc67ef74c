// mkdir(2) of a domain: the node joins it.
#pragma once

#include <functional>

#include "dlmfs/outcome.h"
#include "dlmfs/task.h"

namespace clusterlock::dlmfs {

// With a name_path the cluster's name is put away meanwhile; see dlmfs/cluster_name.h. Leaves the domain again when the
// task was cancelled, or `unheard` says that nobody will be told.
Outcome Join(Task& task, int pulse, const std::function<bool()>& unheard);

// Puts back a cluster's name that somebody who was killed has left away; value is 1 when there was one.
Outcome Restore(Task& task);

}  // namespace clusterlock::dlmfs
