// A request to the control device that may sleep for ever, kept away from everything else of the process.
#pragma once

#include "dlm/codec.h"
#include "dlm/device_fd.h"

namespace clusterlock::dlm {

// Writes on a thread that has nothing but this descriptor, and waits for it. The kernel may sleep in there until the
// cluster lets this node in or out, not even SIGKILL ends that, and a process whose table of descriptors that thread
// shared would keep all its devices open, and with them its locks.
ssize_t LoneWrite(const DeviceFd& device, const Request& request);

}  // namespace clusterlock::dlm
