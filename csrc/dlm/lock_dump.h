// The kernel's list of the locks of a lockspace, as far as leaving the lockspace depends on it. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace clusterlock::dlm {

// How many locks of `dump` (debugfs dlm/NAME_locks; fs/dlm/debug_fs.c:print_format2_lock()) belong to this node. The
// others are other nodes' locks on resources that this node masters: those find a new master when it leaves.
size_t CountOwnLocks(std::string_view dump);

}  // namespace clusterlock::dlm
