// I/O to a mirror, one request at a time, past the page cache: "read" takes a block anywhere, "pair" writes one to a
// region that nobody writes to, so that its log has to mark and clear it.
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "turns.h"

enum { BLOCK = 4096, REGION = 512 * 1024 };

static int device;
static uint64_t size;
static void* block;
static uint64_t next;

static void run(const struct turn* turn) {
  for (long i = 0; i < turn->count; i++) {
    // the golden ratio: each region comes long after its neighbours
    next += 0x9E3779B97F4A7C15;
    const uint64_t at = next % (size / REGION) * REGION;
    const ssize_t done =
        turn->workload == READ ? pread(device, block, BLOCK, (off_t)at) : pwrite(device, block, BLOCK, (off_t)at);
    if (done != BLOCK) fail("I/O to the mirror");
  }
}

int main(int argc, char** argv) {
  errno = EINVAL;
  if (argc != 2) fail("usage: mirror_io DEVICE");
  device = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
  if (device < 0 || ioctl(device, BLKGETSIZE64, &size) != 0) fail(argv[1]);
  if (posix_memalign(&block, BLOCK, BLOCK) != 0) fail("posix_memalign");
  memset(block, 0x5a, BLOCK);
  take_turns(run);
  return 0;
}
