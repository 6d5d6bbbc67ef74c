// Keeps the name of the cluster from fs/dlm for as long as one mkdir() of a domain takes. dlmfs asks for a cluster
// without a name (fs/ocfs2/stackglue.c:ocfs2_cluster_connect_agnostic()), and fs/dlm refuses it with EBADR
// (fs/dlm/lockspace.c:new_lockspace()) as long as its own has one.
#pragma once

#include <sys/types.h>

#include <string>

#include "sys/unique_fd.h"

namespace clusterlock::dlmfs {

// Both calls are made with `lock_file` locked by flock(2). While the name is away it stands in that file, for the next
// one to find should this process and the guardian be killed together.

struct Restored {
  int error = 0;  // errno
  const char* syscall = "";
  bool did = false;
};

// Puts back a name that stands in the file, if nothing else has taken its place.
Restored RestoreName(int lock_file, const char* name_path);

class BlankedName {
 public:
  // `pulse` is the reading end of a pipe whose other end closes when this process is killed.
  BlankedName(int lock_file, std::string name_path, int pulse);
  ~BlankedName();
  BlankedName(const BlankedName&) = delete;
  BlankedName& operator=(const BlankedName&) = delete;

  // Of the blanking, and of PutBack(): an errno and the call that failed.
  int error() const { return error_; }
  const char* syscall() const { return syscall_; }

  void PutBack();

 private:
  void Fail(int error, const char* syscall);
  void Blank(int pulse);
  bool Guard(int pulse);

  const int lock_file_;
  const std::string name_path_;
  bool guarded_ = false;
  pid_t guardian_ = -1;
  sys::UniqueFd guardian_pipe_;
  int error_ = 0;
  const char* syscall_ = "";
};

}  // namespace clusterlock::dlmfs
