// Opening, creating and removing lockspaces. Everything here can sleep in the kernel without limit (a global mutex,
// dlm_controld, recovery): call it on a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dlm/channel.h"
#include "dlm/codec.h"
#include "dlm/device_fd.h"
#include "sys/file_ops.h"

namespace clusterlock::dlm {

struct Failure {
  int error = 0;               // positive errno; 0 = none
  std::string syscall{};       // "open", "read", "dlm_create_lockspace", "dlm_remove_lockspace"
  std::string path{};          // the device it happened on
  std::vector<int> holders{};  // EBUSY of a removal: the processes with the lockspace open
  Version version{};           // of the kernel's interface, when that was the reason
  bool version_mismatch = false;
};

struct Opened {
  Failure failure;
  std::unique_ptr<Channel> channel;  // made on the opening thread: closing a device it could not be made for may sleep
  Version version;
  uint32_t minor = 0;
  bool created = false;
  std::string path;
};

// What to do about a lockspace that this node has not joined.
struct Creation {
  bool wanted = false;
  bool exclusive = false;      // EEXIST when the node has joined it already
  std::optional<mode_t> mode;  // of the device that is created; the system's rules decide without
};

// Opens the lockspace's device. With `create.wanted`, a lockspace that this node has not joined is joined first; one
// that exists is only opened, so that its count of creators (which no process death ever lowers) does not grow. EEXIST
// without `exclusive`: the name is a lockspace without a device, which a file system of this node uses.
Opened OpenLockspace(sys::FileOps& ops, const std::string& name, const Creation& create);

// Gives back one creation; the last one makes this node leave. Refuses with EBUSY while any process of this node has
// the device open, because the kernel would sleep, unkillable, until all are closed, and block every other creation
// and removal on the node meanwhile (fs/dlm/lockspace.c:remove_lockspace()); and, without `force`, while orphaned locks
// of this node are left. Locks of other nodes do not keep it from leaving, provided that debugfs can tell them apart.
Failure RemoveLockspace(sys::FileOps& ops, const std::string& name, bool force);

}  // namespace clusterlock::dlm
