// Blocks that say what they are: writes them to a block device, tells a second device what was acknowledged, and looks
// for them after a crash. All with O_DIRECT.
//
//   blocks fill DEVICE BYTES LETTER       LETTER everywhere, durable
//   blocks mark MARKER TEXT               TEXT into the first block of the marker device
//   blocks write DEVICE MARKER BLOCKS THREADS WRITES SEED FIRST GAP ACKS
//                                         WRITES blocks each by THREADS threads among BLOCKS, with versions from FIRST
//                                         on, now and then a pause of GAP ms. What an O_DSYNC write or an fdatasync(2)
//                                         has acknowledged goes to MARKER and, if ACKS is not "-", to the end of that
//                                         file, as lines {"acked":[[BLOCK,VERSION],...]}. Ends with status 0 at
//                                         SIGTERM, too.
//   blocks compare LEG LEG BYTES          prints the numbers of the sectors that differ
//   blocks versions DEVICE BLOCKS         prints "BLOCK VERSION" of each block that has been written,
//                                         "BLOCK VERSION torn" with the oldest of its sectors

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kBlock = 4096, kSector = 512, kSectors = kBlock / kSector, kMost = 48, kChunk = 1 << 20 };

static const char kMagic[8] = "CLcrash";

struct stamp {
  char magic[8];
  uint32_t block;
  uint32_t sector;
  uint64_t version;
};

static _Noreturn void fail(const char* format, ...) {
  int error = errno;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, ": %s\n", strerror(error));
  exit(1);
}

static uint64_t next(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void* room(size_t size) {
  void* memory = aligned_alloc(kBlock, size);
  if (memory == NULL) fail("no memory");
  memset(memory, 0, size);
  return memory;
}

static int device(const char* name, int flags) {
  int fd = open(name, flags | O_DIRECT | O_CLOEXEC);
  if (fd < 0) fail("%s", name);
  return fd;
}

static void put(int fd, const void* data, size_t size, off_t offset) {
  ssize_t done = pwrite(fd, data, size, offset);
  if (done != (ssize_t)size) fail("a write of %zu bytes at %lld returned %zd", size, (long long)offset, done);
}

static void get(int fd, void* data, size_t size, off_t offset) {
  ssize_t done = pread(fd, data, size, offset);
  if (done != (ssize_t)size) fail("a read of %zu bytes at %lld returned %zd", size, (long long)offset, done);
}

static void pattern(char* block, uint32_t number, uint64_t version) {
  for (uint32_t sector = 0; sector < kSectors; sector++) {
    char* at = block + sector * kSector;
    struct stamp stamp = {.block = number, .sector = sector, .version = version};
    memcpy(stamp.magic, kMagic, sizeof kMagic);
    uint64_t state = (version << 20) + ((uint64_t)number << 3) + sector + 1;
    for (size_t i = sizeof stamp; i < kSector; i += 8) {
      uint64_t word = next(&state);
      memcpy(at + i, &word, 8);
    }
    memcpy(at, &stamp, sizeof stamp);
  }
}

struct job {
  const char* device;
  const char* marker;
  uint32_t blocks;
  uint32_t threads;
  uint32_t writes;
  uint64_t seed;
  uint32_t gap;
  int acks;
};

struct worker {
  const struct job* job;
  uint32_t index;
  pthread_t thread;
};

static atomic_bool stopped;
static _Atomic uint64_t version_to_come;

struct unsynced {
  uint32_t block;
  uint64_t version;
};

static void acknowledge(const struct job* job, int marker, uint32_t index, char* text, const struct unsynced* list,
                        size_t count) {
  if (count == 0) return;
  size_t length = (size_t)sprintf(text, "{\"acked\":[");
  for (size_t i = 0; i < count; i++) {
    length += (size_t)sprintf(text + length, "%s[%u,%llu]", i == 0 ? "" : ",", list[i].block,
                              (unsigned long long)list[i].version);
  }
  length += (size_t)sprintf(text + length, "]}\n");
  if (job->acks >= 0 && write(job->acks, text, length) != (ssize_t)length) fail("the file of acknowledgements");
  memset(text + length, 0, kBlock - length);
  // a place of its own for each thread, behind the block of the marks
  put(marker, text, kBlock, (off_t)(index + 1) * kChunk / 16);
}

static uint32_t pick(const struct job* job, uint32_t index, uint64_t* dice) {
  uint64_t spot = next(dice) % 10 < 6 ? (next(dice) % 8) * 2654435761u : next(dice);
  // each thread has blocks of its own, so that a block's writes come one after the other
  uint32_t own = job->blocks / job->threads;
  return (uint32_t)(spot % own) * job->threads + index;
}

static void* work(void* argument) {
  struct worker* worker = argument;
  const struct job* job = worker->job;
  int plain = device(job->device, O_WRONLY);
  int synced = device(job->device, O_WRONLY | O_DSYNC);
  int marker = device(job->marker, O_WRONLY);
  char* block = room(kBlock);
  char* text = room(kBlock);
  struct unsynced list[kMost];
  size_t count = 0;
  uint64_t dice = (job->seed + 1) * 6364136223846793005u + (worker->index + 1) * 1442695040888963407u;
  for (int i = 0; i < 8; i++) next(&dice);
  for (uint32_t i = 0; i < job->writes && !stopped; i++) {
    uint32_t number = pick(job, worker->index, &dice);
    uint64_t version = atomic_fetch_add(&version_to_come, 1);
    struct unsynced written = {number, version};
    pattern(block, number, version);
    if (next(&dice) % 4 == 0) {
      put(synced, block, kBlock, (off_t)number * kBlock);
      acknowledge(job, marker, worker->index, text, &written, 1);
      // the older one is acknowledged by that as well, and must not be by a later one
      for (size_t k = 0; k < count; k++) {
        if (list[k].block == number) list[k--] = list[--count];
      }
    } else {
      put(plain, block, kBlock, (off_t)number * kBlock);
      size_t k = 0;
      while (k < count && list[k].block != number) k++;
      list[k] = written;
      if (k == count) count++;
    }
    if (count == kMost || next(&dice) % 12 == 0) {
      if (fdatasync(plain) != 0) fail("fdatasync of %s", job->device);
      acknowledge(job, marker, worker->index, text, list, count);
      count = 0;
    }
    if (next(&dice) % 16 == 0) {
      uint64_t pause = (uint64_t)job->gap * (500 + next(&dice) % 1000) * 1000;
      struct timespec time = {(time_t)(pause / 1000000000), (long)(pause % 1000000000)};
      nanosleep(&time, NULL);
    }
  }
  return NULL;
}

static void stop(int signal) {
  (void)signal;
  stopped = true;
}

static int write_blocks(char** words) {
  struct job job = {
      .device = words[0],
      .marker = words[1],
      .blocks = (uint32_t)atol(words[2]),
      .threads = (uint32_t)atol(words[3]),
      .writes = (uint32_t)atol(words[4]),
      .seed = strtoull(words[5], NULL, 10),
      .gap = (uint32_t)atol(words[7]),
      .acks = -1,
  };
  version_to_come = strtoull(words[6], NULL, 10);
  if (strcmp(words[8], "-") != 0) {
    job.acks = open(words[8], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (job.acks < 0) fail("%s", words[8]);
  }
  struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
  sigaction(SIGTERM, &action, NULL);
  struct worker workers[16];
  if (job.threads < 1 || job.threads > 15) return 64;
  for (uint32_t i = 0; i < job.threads; i++) {
    workers[i] = (struct worker){.job = &job, .index = i};
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) fail("pthread_create");
  }
  for (uint32_t i = 0; i < job.threads; i++) pthread_join(workers[i].thread, NULL);
  printf("%llu\n", (unsigned long long)version_to_come);
  return 0;
}

static int fill(const char* name, size_t bytes, char letter) {
  int fd = device(name, O_WRONLY);
  char* chunk = room(kChunk);
  memset(chunk, letter, kChunk);
  for (size_t at = 0; at < bytes; at += kChunk) put(fd, chunk, bytes - at < kChunk ? bytes - at : kChunk, (off_t)at);
  return fsync(fd) == 0 ? 0 : 1;
}

static int mark(const char* name, const char* words) {
  char* block = room(kBlock);
  strncpy(block, words, kBlock - 1);
  put(device(name, O_WRONLY), block, kBlock, 0);
  return 0;
}

static int compare(const char* one, const char* other, size_t bytes) {
  int legs[] = {device(one, O_RDONLY), device(other, O_RDONLY)};
  char* chunks[] = {room(kChunk), room(kChunk)};
  for (size_t at = 0; at < bytes; at += kChunk) {
    size_t size = bytes - at < kChunk ? bytes - at : kChunk;
    for (int leg = 0; leg < 2; leg++) get(legs[leg], chunks[leg], size, (off_t)at);
    for (size_t i = 0; i < size; i += kSector) {
      if (memcmp(chunks[0] + i, chunks[1] + i, kSector) != 0) printf("%zu\n", (at + i) / kSector);
    }
  }
  return 0;
}

static int versions(const char* name, uint32_t blocks) {
  int fd = device(name, O_RDONLY);
  char* block = room(kBlock);
  char* wanted = room(kBlock);
  for (uint32_t number = 0; number < blocks; number++) {
    get(fd, block, kBlock, (off_t)number * kBlock);
    struct stamp stamp;
    memcpy(&stamp, block, sizeof stamp);
    int stamped = 0;
    for (int sector = 0; sector < kSectors; sector++) {
      stamped += memcmp(block + sector * kSector, kMagic, sizeof kMagic) == 0;
    }
    if (stamped == 0) continue;
    pattern(wanted, number, stamp.version);
    if (memcmp(block, wanted, kBlock) == 0) {
      printf("%u %llu\n", number, (unsigned long long)stamp.version);
    } else {
      // the oldest of its sectors is what a reader can count on
      uint64_t oldest = UINT64_MAX;
      for (uint32_t sector = 0; sector < kSectors; sector++) {
        memcpy(&stamp, block + sector * kSector, sizeof stamp);
        if (memcmp(stamp.magic, kMagic, sizeof kMagic) != 0 || stamp.block != number || stamp.sector != sector) {
          oldest = 0;
        } else if (stamp.version < oldest) {
          oldest = stamp.version;
        }
      }
      printf("%u %llu torn\n", number, (unsigned long long)oldest);
    }
  }
  return 0;
}

int main(int count, char** words) {
  const char* verb = count > 1 ? words[1] : "";
  if (strcmp(verb, "fill") == 0 && count == 5) return fill(words[2], strtoull(words[3], NULL, 10), words[4][0]);
  if (strcmp(verb, "mark") == 0 && count == 4) return mark(words[2], words[3]);
  if (strcmp(verb, "write") == 0 && count == 11) return write_blocks(words + 2);
  if (strcmp(verb, "compare") == 0 && count == 5) return compare(words[2], words[3], strtoull(words[4], NULL, 10));
  if (strcmp(verb, "versions") == 0 && count == 4) return versions(words[2], (uint32_t)atol(words[3]));
  fprintf(stderr, "fill, mark, write, compare or versions\n");
  return 64;
}
