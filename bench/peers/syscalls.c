// Counts what a party asks of the kernel, turn by turn: syscalls COMMAND [ARG...] stands between the party and whoever
// gives it turns, hands every line on, and adds to each answer how many system calls the turn took, in all and by name.
// They are counted by the kernel's own tracepoints: nothing stops at them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEFS "/sys/kernel/tracing"
#define EVENTS TRACEFS "/events/"

static const char* const names[] = {"total", "write",      "read",        "readv", "futex",         "poll",
                                    "fcntl", "epoll_wait", "epoll_pwait", "ioctl", "clock_gettime", "epoll_ctl"};
enum { COUNTERS = sizeof names / sizeof *names };

static int counters[COUNTERS];
static uint64_t before[COUNTERS];

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "syscalls: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t tracepoint(const char* name) {
  char path[128];
  if (strcmp(name, "total") == 0) {
    snprintf(path, sizeof path, EVENTS "raw_syscalls/sys_enter/id");
  } else {
    snprintf(path, sizeof path, EVENTS "syscalls/sys_enter_%s/id", name);
  }
  FILE* file = fopen(path, "re");
  unsigned long long id = 0;
  if (file == NULL || fscanf(file, "%llu", &id) != 1) fail(path);
  fclose(file);
  return id;
}

// For the process, and for all threads that it is yet to start.
static int count_calls(const char* name, pid_t pid) {
  struct perf_event_attr attr = {
      .type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .config = tracepoint(name), .inherit = 1};
  const long fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) fail("perf_event_open");
  return (int)fd;
}

static uint64_t count_of(int counter) {
  uint64_t count = 0;
  if (read(counter, &count, sizeof count) != sizeof count) fail("reading a counter");
  return count;
}

static void print_counts(void) {
  printf(" {");
  for (int i = 0; i < COUNTERS; i++) {
    printf("%s\"%s\":%llu", i == 0 ? "" : ",", names[i], (unsigned long long)(count_of(counters[i]) - before[i]));
  }
  printf("}\n");
}

struct party {
  pid_t pid;
  FILE* in;
  FILE* out;
};

static void become(char** command, int in, int out, int go) {
  char byte;
  if (read(go, &byte, 1) != 1 || dup2(in, 0) < 0 || dup2(out, 1) < 0) fail("starting the party");
  execv(command[0], command);
  fail(command[0]);
}

static struct party start(char** command) {
  int in[2], out[2], go[2];
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) fail("pipe2");
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) become(command, in[0], out[1], go[0]);
  close(in[0]);
  close(out[1]);
  close(go[0]);
  for (int i = 0; i < COUNTERS; i++) counters[i] = count_calls(names[i], pid);
  if (write(go[1], "", 1) != 1) fail("write");
  close(go[1]);
  return (struct party){pid, fdopen(in[1], "w"), fdopen(out[0], "r")};
}

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  if (mount("tracefs", TRACEFS, "tracefs", 0, NULL) < 0 && errno != EBUSY) fail(TRACEFS);
  const struct party party = start(argv + 1);
  char line[1024];
  while (fgets(line, sizeof line, party.out) != NULL) {
    line[strcspn(line, "\n")] = 0;
    fputs(line, stdout);
    print_counts();
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) break;
    for (int i = 0; i < COUNTERS; i++) before[i] = count_of(counters[i]);
    fputs(line, party.in);
    fflush(party.in);
  }
  fclose(party.in);
  int status = 0;
  waitpid(party.pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
