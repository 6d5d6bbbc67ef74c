// Opens and closes one lock file of ocfs2_dlmfs at random, PR or EX, until the time is over or an open does not return.
//
//   storm FILE SECONDS WATCHDOG SEED THREADS MIX
//
// MIX: `mixed` both modes; `ex` EX only; `pr` PR only; `unlink` both modes, the name is unlinked between a PR and an
// EX; `fresh` both modes, the name is unlinked before each EX. Prints every second, and at the end, `t=SECONDS opens=N
// slowest=MS`, and `STUCK t=SECONDS opens=N mode=MODE` when an open has lasted for WATCHDOG seconds; then it goes on
// watching and prints `FREED t=SECONDS` if that open ever returns. A thread whose open never returns cannot be killed,
// so neither can this process.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 16 };

struct opener {
  pthread_t thread;
  unsigned seed;
  _Atomic long since;  // ms when the open that is under way began, or 0
  atomic_int mode;     // of the last open: 'P' or 'E'
};

static const char* file;
static const char* mix;
static long begun;
static long limit;
static struct opener openers[MAX_THREADS];
static atomic_long opens;
static atomic_long slowest;
static atomic_bool stop;

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void* storm(void* argument) {
  struct opener* self = argument;
  while (!atomic_load(&stop)) {
    int mode = strcmp(mix, "ex") == 0 ? 'E' : strcmp(mix, "pr") == 0 ? 'P' : rand_r(&self->seed) % 2 ? 'E' : 'P';
    int unlinks = strcmp(mix, "fresh") == 0 || (strcmp(mix, "unlink") == 0 && atomic_load(&self->mode) == 'P');
    if (unlinks && mode == 'E') unlink(file);
    atomic_store(&self->mode, mode);
    long start = now();
    atomic_store(&self->since, start);
    int fd = open(file, (mode == 'E' ? O_RDWR : O_RDONLY) | O_CREAT | O_CLOEXEC, 0600);
    atomic_store(&self->since, 0);
    if (fd < 0) {
      // an unlink is under way, by another thread
      if (errno == EAGAIN || errno == ENOENT) continue;
      printf("FAILED errno=%d\n", errno);
      exit(1);
    }
    long took = now() - start;
    if (took > atomic_load(&slowest)) atomic_store(&slowest, took);
    atomic_fetch_add(&opens, 1);
    if (rand_r(&self->seed) % 4 == 0) usleep(rand_r(&self->seed) % 2000);
    close(fd);
    if (rand_r(&self->seed) % 4 == 0) usleep(rand_r(&self->seed) % 2000);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 7) return 64;
  file = argv[1];
  long seconds = atol(argv[2]);
  limit = atol(argv[3]) * 1000;
  unsigned seed = (unsigned)atol(argv[4]);
  int threads = atoi(argv[5]);
  if (threads < 1 || threads > MAX_THREADS) return 64;
  mix = argv[6];
  setvbuf(stdout, NULL, _IOLBF, 0);
  begun = now();
  for (int i = 0; i < threads; i++) {
    openers[i].seed = seed * MAX_THREADS + (unsigned)i;
    pthread_create(&openers[i].thread, NULL, storm, &openers[i]);
  }
  struct opener* stuck = NULL;
  for (long tick = 1;; tick++) {
    usleep(100000);
    long at = now();
    if (tick % 10 == 0 && stuck == NULL)
      printf("t=%ld opens=%ld slowest=%ld\n", (at - begun) / 1000, atomic_load(&opens), atomic_load(&slowest));
    for (int i = 0; i < threads && stuck == NULL; i++) {
      long since = atomic_load(&openers[i].since);
      if (since != 0 && at - since > limit) {
        stuck = &openers[i];
        printf("STUCK t=%ld opens=%ld mode=%s\n", (at - begun) / 1000, atomic_load(&opens),
               atomic_load(&stuck->mode) == 'E' ? "EX" : "PR");
      }
    }
    if (stuck != NULL && atomic_load(&stuck->since) == 0) {
      printf("FREED t=%ld\n", (at - begun) / 1000);
      stuck = NULL;
    }
    if (at - begun > seconds * 1000 && stuck == NULL) break;
  }
  atomic_store(&stop, true);
  for (int i = 0; i < threads; i++) pthread_join(openers[i].thread, NULL);
  printf("END opens=%ld slowest=%ld\n", atomic_load(&opens), atomic_load(&slowest));
  return 0;
}
