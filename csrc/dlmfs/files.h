// Requests about files that wait for nobody of this node.
#pragma once

#include "dlmfs/outcome.h"

namespace clusterlock::dlmfs {

// Opens the sidecar, or makes it with the mode and owner that were asked for. O_RDWR, or O_RDONLY where no more is
// allowed.
Outcome OpenSidecar(const Request& request);
// mknod(2): a lock file without its lock.
Outcome Create(const Request& request);
// Only of a name that nobody of this node has a range of: EBUSY from fcntl.
Outcome Unlink(const Request& request);
Outcome Rmdir(const Request& request);
Outcome List(const Request& request);
Outcome Stat(const Request& request);

// Makes the directory that `path` is in, which root makes for everyone (01777), and those above it. 0 or an errno.
int MakeParent(const std::string& path);
// Opens `path` for reading and writing; a file that was not there is this user's, and nobody else's to write. Refuses
// (EPERM, "fstat") one that others can write.
Outcome OpenPrivate(const std::string& path, bool create);

}  // namespace clusterlock::dlmfs
