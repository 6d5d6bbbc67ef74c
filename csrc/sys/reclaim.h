// For a process that the kernel waits for when it writes dirty memory back: it must not wait for that memory itself.
#pragma once

namespace clusterlock::sys {

// mlockall(2) of all that is mapped, which is brought in now, and of what will be mapped. 0 or -errno: EPERM when some
// later mapping could fail for want of CAP_IPC_LOCK; nothing is locked then. Not inherited by a child or by execve(2).
int LockMemory();

// PR_SET_IO_FLUSHER: the calling thread's allocations start no I/O, and its writes are not throttled for the sake of
// others. 0 or -errno: EPERM without CAP_SYS_RESOURCE. Threads and children that it starts inherit it, and so does the
// program of an execve(2); threads that run already do not.
int SetIoFlusher();

}  // namespace clusterlock::sys
