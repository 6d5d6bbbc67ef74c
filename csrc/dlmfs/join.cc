#include "dlmfs/join.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "dlmfs/cluster_name.h"
#include "dlmfs/files.h"

namespace clusterlock::dlmfs {
namespace {

constexpr uint32_t kDefaultMode = 0755;

// One process of the node after the other.
Outcome LockName(Task& task, bool create) {
  Outcome out = OpenPrivate(task.request().name_lock_path, create);
  if (out.error != 0) return out;
  const int error = task.WaitLocally([&] { return OrErrno(::flock(out.file.get(), LOCK_EX)); });
  return error == 0 ? std::move(out) : Outcome::Failed(-error, "flock");
}

}  // namespace

Outcome Join(Task& task, int pulse, const std::function<bool()>& unheard) {
  const Request& request = task.request();
  Outcome lock;
  if (!request.name_path.empty()) {
    lock = LockName(task, true);
    if (lock.error != 0) return lock;
  }
  if (!task.EnterKernel()) return Outcome::Failed(ECANCELED, "mkdir");
  std::optional<BlankedName> name;
  if (lock.file.valid()) {
    name.emplace(lock.file.get(), request.name_path, pulse);
    if (name->error() != 0) return Outcome::Failed(name->error(), name->syscall());
  }
  const mode_t mode = request.mode == kLeave ? kDefaultMode : request.mode;
  const int error = OrErrno(::mkdir(request.path.c_str(), mode));
  if (name) name->PutBack();
  if (error != 0) return Outcome::Failed(-error, "mkdir");
  // Harmless to others who use the domain by now: it is not empty then.
  const auto leave = [path = request.path] { ::rmdir(path.c_str()); };
  if (name && name->error() != 0) {
    leave();
    return Outcome::Failed(name->error(), name->syscall());
  }
  if (task.cancelled() || unheard()) {
    leave();
    return Outcome::Failed(ECANCELED, "mkdir");
  }
  Outcome out;
  out.undo = leave;
  return out;
}

Outcome Restore(Task& task) {
  const Outcome lock = LockName(task, false);
  if (lock.error == ENOENT) return {};
  if (lock.error != 0) return Outcome::Failed(lock.error, lock.syscall);
  if (!task.EnterKernel()) return Outcome::Failed(ECANCELED, "flock");
  const Restored restored = RestoreName(lock.file.get(), task.request().name_path.c_str());
  if (restored.error != 0) return Outcome::Failed(restored.error, restored.syscall);
  Outcome out;
  out.value = restored.did ? 1 : 0;
  return out;
}

}  // namespace clusterlock::dlmfs
