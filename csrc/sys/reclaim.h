// For a process that the kernel waits for when it writes dirty memory back: it must not wait for that memory itself.
#pragma once

namespace clusterlock::sys {

// Brings in, and keeps (mlock(2)), what is mapped of files: the text of Node and its libraries above all, which may lie
// on the very device that waits for this process; besides the heap of the C library and the first thread's stack. Not
// mlockall(2): it would lock V8's memory too, which V8 gives back by MADV_DONTNEED. The kernel refuses that for locked
// memory, and V8 aborts the process then (OS::DiscardSystemPages checks the result). That memory can only go to swap,
// which the cgroup's memory.swap.max forbids. Again for what was loaded since. 0, or -errno and nothing is locked:
// ENOMEM or EPERM beyond RLIMIT_MEMLOCK without CAP_IPC_LOCK. Not inherited by a child or by execve(2).
int LockMemory();

// PR_SET_IO_FLUSHER: the calling thread's allocations start no I/O, and its writes are not throttled for the sake of
// others. 0 or -errno: EPERM without CAP_SYS_RESOURCE. Threads and children that it starts inherit it, and so does the
// program of an execve(2); threads that run already do not.
int SetIoFlusher();

}  // namespace clusterlock::sys
