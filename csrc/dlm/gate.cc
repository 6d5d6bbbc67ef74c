#include "dlm/gate.h"

#include <fcntl.h>
#include <sys/file.h>

namespace clusterlock::dlm {

Gate::Gate(sys::FileOps& ops, const std::string& lockspace, Pass pass)
    : ops_(ops), fd_(ops.Open(("/sys/class/misc/dlm_" + lockspace).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ >= 0) ::flock(fd_, pass == Pass::kOpen ? LOCK_SH : LOCK_EX);
}

Gate::~Gate() {
  if (fd_ >= 0) ops_.Close(fd_);
}

}  // namespace clusterlock::dlm
