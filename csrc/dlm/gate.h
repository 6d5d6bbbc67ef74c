// Keeps the opening of a lockspace and its removal apart, between all processes of the node that use this library.
#pragma once

#include <string>

#include "sys/file_ops.h"

namespace clusterlock::dlm {

// A lock on the lockspace's directory in sysfs, which exists exactly as long as the lockspace has a device: whoever
// opens shares it, whoever removes has it alone. Without it a removal that has just seen nobody could meet an open, and
// sleep in the kernel until that handle closes. Waits for its turn: only for threads of our own.
class Gate {
 public:
  enum class Pass { kOpen, kRemove };
  Gate(sys::FileOps& ops, const std::string& lockspace, Pass pass);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

 private:
  sys::FileOps& ops_;
  int fd_;
};

}  // namespace clusterlock::dlm
