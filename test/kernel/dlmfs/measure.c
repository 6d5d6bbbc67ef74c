// Times what one lock file of ocfs2_dlmfs costs, and prints one line of figures in microseconds.
//
//   measure cached FILE COUNT        open for EX and close again, the lock cached here and wanted by nobody
//   measure fresh FILE COUNT         the same with unlink after each: nothing is cached
//   measure serve FILE SECONDS       holds EX until poll() tells that it is wanted, closes, asks again at once
//   measure handoff FILE COUNT       asks for EX while another node serves, closes, waits for 10 ms
//   measure told FILE FILE2 COUNT    holds EX on FILE, asks on FILE2, another mount of this node: from open() to POLLIN

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 100000 };

static long times[MOST];

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int by_size(const void* a, const void* b) {
  long x = *(const long*)a, y = *(const long*)b;
  return (x > y) - (x < y);
}

static void report(const char* what, int count) {
  if (count == 0) return;
  qsort(times, (size_t)count, sizeof *times, by_size);
  printf("%s n=%d median=%ld p90=%ld p99=%ld max=%ld us\n", what, count, times[count / 2], times[count * 9 / 10],
         times[count * 99 / 100], times[count - 1]);
}

static int hold(const char* file) {
  int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    perror(file);
    exit(1);
  }
  return fd;
}

static void* ask(void* argument) {
  const char* file = argument;
  close(hold(file));
  return NULL;
}

static long told(const char* file, char* file2) {
  int fd = hold(file);
  long start = now();
  pthread_t asker;
  pthread_create(&asker, NULL, ask, file2);
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  poll(&wanted, 1, -1);
  long took = now() - start;
  close(fd);
  pthread_join(asker, NULL);
  return took;
}

static int serve(const char* file, long seconds) {
  long end = now() + seconds * 1000000;
  int count = 0;
  while (now() < end && count < MOST) {
    long start = now();
    int fd = hold(file);
    times[count++] = now() - start;
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    poll(&wanted, 1, 1000);
    close(fd);
  }
  return count;
}

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  const char *what = argv[1], *file = argv[2];
  int count = atoi(argv[argc - 1]);
  if (count > MOST) return 64;
  if (strcmp(what, "serve") == 0) {
    report("serve: open to grant", serve(file, count));
    return 0;
  }
  if (strcmp(what, "told") == 0 && argc != 5) return 64;
  close(hold(file));
  for (int i = 0; i < count; i++) {
    long start = now();
    if (strcmp(what, "told") == 0) {
      times[i] = told(file, argv[3]);
      continue;
    }
    int fd = hold(file);
    if (strcmp(what, "handoff") == 0) {
      times[i] = now() - start;
      close(fd);
      usleep(10000);
      continue;
    }
    close(fd);
    if (strcmp(what, "fresh") == 0) unlink(file);
    times[i] = now() - start;
  }
  report(what, count);
  return 0;
}
