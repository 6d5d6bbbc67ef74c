// System calls on lock files for a test, each on a thread of its own, for any may sleep for ever.
//
// Reads lines `TAG OPERATION WORD...` from standard input; answers `TAG @TID` when the thread has begun, and
// `TAG RESULT [HEX]` when the call has returned: what it returned, or -errno. Bytes are in hexadecimal. The process
// stays while a thread sleeps in the kernel, whatever signal it gets.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORDS = 6, LONGEST = 4096, BYTES = 1024 };

struct call {
  char line[LONGEST];
  char* word[WORDS];
  unsigned char bytes[BYTES];
  long count;  // of bytes to print
};

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static long number(const struct call* call, int n) {
  return strtol(call->word[n], NULL, 0);
}

static long from_hex(struct call* call, int n) {
  long count = 0;
  const char* digits = call->word[n];
  for (unsigned byte; count < BYTES && sscanf(digits, "%2x", &byte) == 1; digits += 2)
    call->bytes[count++] = (unsigned char)byte;
  return count;
}

static long returned_bytes(struct call* call, long count) {
  call->count = count;
  return count;
}

static long wait_poll(int fd, int milliseconds) {
  struct pollfd waited = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};
  long count = poll(&waited, 1, milliseconds);
  return count < 0 ? count : waited.revents;
}

// Whether an epoll instance tells of the descriptor within the time: the events, or 0.
static long wait_epoll(int fd, int milliseconds, unsigned events) {
  int instance = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = events};
  long result = epoll_ctl(instance, EPOLL_CTL_ADD, fd, &event);
  if (result == 0) result = epoll_wait(instance, &event, 1, milliseconds);
  if (result > 0) result = (long)(event.events & 0x7fffffff);
  int error = errno;
  close(instance);
  errno = error;
  return result;
}

static long range_lock(int fd, int type, int command) {
  struct flock range = {.l_type = (short)type, .l_whence = SEEK_SET, .l_len = 1};
  return fcntl(fd, command, &range);
}

static long perform(struct call* call) {
  const char* operation = call->word[1];
  const char* path = call->word[2];
#define IS(name) (strcmp(operation, name) == 0)
  if (IS("open")) return open(path, (int)number(call, 3) | O_CLOEXEC, (mode_t)number(call, 4));
  if (IS("unlink")) return unlink(path);
  if (IS("mkdir")) return mkdir(path, 0755);
  if (IS("rmdir")) return rmdir(path);
  if (IS("mknod")) return mknod(path, S_IFREG | (mode_t)number(call, 3), 0);
  if (IS("link")) return link(path, call->word[3]);
  if (IS("symlink")) return symlink(path, call->word[3]);
  if (IS("rename")) return rename(path, call->word[3]);
  if (IS("truncate")) return truncate(path, number(call, 3));
  if (IS("kill")) return kill((pid_t)number(call, 2), (int)number(call, 3));
  int fd = (int)number(call, 2);
  if (IS("close")) return close(fd);
  if (IS("read")) return returned_bytes(call, read(fd, call->bytes, (size_t)number(call, 3)));
  if (IS("pread")) return returned_bytes(call, pread(fd, call->bytes, (size_t)number(call, 3), number(call, 4)));
  if (IS("write")) return write(fd, call->bytes, (size_t)from_hex(call, 3));
  if (IS("pwrite")) {
    size_t count = (size_t)from_hex(call, 4);
    return pwrite(fd, call->bytes, count, number(call, 3));
  }
  if (IS("ftruncate")) return ftruncate(fd, number(call, 3));
  if (IS("poll")) return wait_poll(fd, (int)number(call, 3));
  if (IS("epoll")) return wait_epoll(fd, (int)number(call, 3), EPOLLIN);
  if (IS("epollet")) return wait_epoll(fd, (int)number(call, 3), EPOLLIN | EPOLLET);
  if (IS("flock")) return flock(fd, (int)number(call, 3));
  if (IS("ofd")) return range_lock(fd, (int)number(call, 3), F_OFD_SETLK);
  if (IS("getfl")) return fcntl(fd, F_GETFL);
#undef IS
  errno = ENOSYS;
  return -1;
}

static void* run(void* argument) {
  struct call* call = argument;
  pthread_mutex_lock(&output);
  printf("%s @%ld\n", call->word[0], syscall(SYS_gettid));
  pthread_mutex_unlock(&output);
  long result = perform(call);
  if (result == -1) result = -errno;
  pthread_mutex_lock(&output);
  printf("%s %ld ", call->word[0], result);
  for (long i = 0; i < call->count; i++) printf("%02x", call->bytes[i]);
  printf("\n");
  pthread_mutex_unlock(&output);
  free(call);
  return NULL;
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  for (;;) {
    struct call* call = calloc(1, sizeof *call);
    if (call == NULL || fgets(call->line, sizeof call->line, stdin) == NULL) break;
    int words = 0;
    for (char *rest = call->line, *word; words < WORDS && (word = strsep(&rest, " \n")) != NULL;) {
      if (*word != '\0') call->word[words++] = word;
    }
    while (words < WORDS) call->word[words++] = call->line + sizeof call->line - 1;
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, call) != 0) return 1;
    pthread_detach(thread);
  }
  return 0;
}
