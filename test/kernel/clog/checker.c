// Writes patterns to a device with O_DIRECT and knows what was acknowledged.
//
//   checker DEVICE BLOCKS THREADS SEED MICROSECONDS
//
// Each thread writes blocks of 4096 bytes of its own in a random order, with so long a pause after each. Commands come
// one a line, and each is answered with a line of JSON:
//
//   state                 {"writes":N,"errors":N,"longest":MS,"waiting":MS}; waiting: the oldest write that is under
//   way stop                  the same, when no write is under way any more start                 the same, writing
//   again verify DEVICE SECTOR  {"wrong":[BLOCK,...]}: blocks there that are not what was acknowledged last, the first
//   ten

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 4096, WORDS = SIZE / 8, MOST_THREADS = 16, SHOWN = 10 };

static int device;
static unsigned blocks, threads, seed, pause_us;
// of each block, the generation that was acknowledged, and the one that was written last
static uint32_t *acknowledged, *written;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool running = true;
static unsigned busy;
static unsigned long writes, errors;
static long longest, since[MOST_THREADS];

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t word(uint32_t block, uint32_t generation, unsigned i) {
  return ((uint64_t)block << 32 | generation) * 0x9e3779b97f4a7c15u + i;
}

static void* buffer(void) {
  void* memory = NULL;
  if (posix_memalign(&memory, SIZE, SIZE) != 0) abort();
  return memory;
}

static void* write_blocks(void* argument) {
  unsigned self = (unsigned)(uintptr_t)argument, state = seed * MOST_THREADS + self;
  uint64_t* content = buffer();
  for (;;) {
    pthread_mutex_lock(&lock);
    while (!running) pthread_cond_wait(&changed, &lock);
    busy++;
    since[self] = now();
    pthread_mutex_unlock(&lock);

    uint32_t block = (uint32_t)rand_r(&state) % blocks;
    block -= block % threads;
    block += self;
    if (block >= blocks) block = self;
    uint32_t generation = ++written[block];
    for (unsigned i = 0; i < WORDS; i++) content[i] = word(block, generation, i);
    bool done = pwrite(device, content, SIZE, (off_t)block * SIZE) == SIZE;

    pthread_mutex_lock(&lock);
    long took = now() - since[self];
    if (took > longest) longest = took;
    since[self] = 0;
    writes++;
    if (done) {
      acknowledged[block] = generation;
    } else {
      if (errors++ == 0) fprintf(stderr, "block %u: %s\n", block, strerror(errno));
    }
    busy--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (pause_us > 0) usleep(pause_us);
  }
  return NULL;
}

static void tell(void) {
  long waiting = 0;
  for (unsigned i = 0; i < threads; i++) {
    if (since[i] != 0 && now() - since[i] > waiting) waiting = now() - since[i];
  }
  printf("{\"writes\":%lu,\"errors\":%lu,\"longest\":%ld,\"waiting\":%ld}\n", writes, errors, longest, waiting);
}

static bool is(const uint64_t* content, uint32_t block, uint32_t generation) {
  for (unsigned i = 0; i < WORDS; i++) {
    if (content[i] != (generation == 0 ? 0 : word(block, generation, i))) return false;
  }
  return true;
}

static void verify(const char* path, unsigned long sector) {
  uint64_t* content = buffer();
  int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
  unsigned wrong = 0;
  printf("{\"wrong\":[");
  for (uint32_t block = 0; block < blocks; block++) {
    bool good = pread(fd, content, SIZE, (off_t)sector * 512 + (off_t)block * SIZE) == SIZE;
    // of a write that has failed nobody knows whether it is there
    good = good && (is(content, block, acknowledged[block]) || is(content, block, written[block]));
    if (!good && wrong++ < SHOWN) printf("%s%u", wrong == 1 ? "" : ",", block);
  }
  printf("]}\n");
  if (fd >= 0) close(fd);
  free(content);
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  device = open(argv[1], O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (device < 0) {
    perror(argv[1]);
    return 1;
  }
  blocks = (unsigned)atoi(argv[2]);
  threads = (unsigned)atoi(argv[3]);
  seed = (unsigned)atoi(argv[4]);
  pause_us = (unsigned)atoi(argv[5]);
  if (threads == 0 || threads > MOST_THREADS || blocks < threads) return 2;
  acknowledged = calloc(blocks, sizeof(*acknowledged));
  written = calloc(blocks, sizeof(*written));
  for (unsigned i = 0; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, write_blocks, (void*)(uintptr_t)i) != 0) return 1;
  }
  char line[256], path[200];
  unsigned long sector;
  while (fgets(line, sizeof(line), stdin) != NULL) {
    if (sscanf(line, "verify %199s %lu", path, &sector) == 2) {
      verify(path, sector);
    } else {
      pthread_mutex_lock(&lock);
      if (strcmp(line, "stop\n") == 0 || strcmp(line, "start\n") == 0) running = line[2] == 'a';
      pthread_cond_broadcast(&changed);
      while (!running && busy > 0) pthread_cond_wait(&changed, &lock);
      tell();
      pthread_mutex_unlock(&lock);
    }
    fflush(stdout);
  }
  return 0;
}
