// Looks at block devices with O_DIRECT: the page cache of a leg goes stale while a mirror writes beneath it.
//
//   blocks compare A SECTOR B SECTOR SECTORS REGION   JSON: the regions of so many sectors that differ
//   blocks write DEVICE SECTOR SECTORS LETTER         fills; ends with errno as its status
//   blocks read DEVICE SECTOR SECTORS                 the same of reading; JSON: the first letter of each 8 sectors
//
// Sectors are of 512 bytes, and positions and lengths of `write` and `read` multiples of 8.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512, PIECE = 8 * SECTOR, MOST = 1 << 20 };

static int open_device(const char* path, int flags) {
  int fd = open(path, flags | O_DIRECT | O_CLOEXEC);
  if (fd < 0) {
    perror(path);
    exit(errno);
  }
  return fd;
}

static char* buffer(void) {
  void* memory = NULL;
  if (posix_memalign(&memory, PIECE, MOST) != 0) abort();
  return memory;
}

static void read_all(int fd, char* to, size_t length, off_t at) {
  ssize_t n = pread(fd, to, length, at);
  if (n == (ssize_t)length) return;
  int status = n < 0 ? errno : EIO;
  fprintf(stderr, "read of %zu bytes at %lld: %s\n", length, (long long)at, strerror(status));
  exit(status);
}

static int compare(char** argv) {
  int a = open_device(argv[0], O_RDONLY), b = open_device(argv[2], O_RDONLY);
  off_t at_a = atoll(argv[1]) * SECTOR, at_b = atoll(argv[3]) * SECTOR;
  off_t length = atoll(argv[4]) * SECTOR, region = atoll(argv[5]) * SECTOR;
  char *one = buffer(), *other = buffer();
  const char* comma = "";
  printf("[");
  for (off_t start = 0; start < length; start += region) {
    off_t end = start + region < length ? start + region : length;
    for (off_t at = start; at < end;) {
      size_t n = (size_t)(end - at < MOST ? end - at : MOST);
      read_all(a, one, n, at_a + at);
      read_all(b, other, n, at_b + at);
      if (memcmp(one, other, n) != 0) {
        printf("%s%lld", comma, (long long)(start / region));
        comma = ",";
        break;
      }
      at += (off_t)n;
    }
  }
  printf("]\n");
  return 0;
}

static int fill(char** argv) {
  int fd = open_device(argv[0], O_WRONLY);
  off_t at = atoll(argv[1]) * SECTOR, left = atoll(argv[2]) * SECTOR;
  char* content = buffer();
  memset(content, argv[3][0] == '0' ? 0 : argv[3][0], MOST);
  for (; left > 0; left -= MOST, at += MOST) {
    size_t n = (size_t)(left < MOST ? left : MOST);
    ssize_t done = pwrite(fd, content, n, at);
    if (done != (ssize_t)n) {
      int status = done < 0 ? errno : EIO;
      fprintf(stderr, "write to %s: %s\n", argv[0], strerror(status));
      return status;
    }
  }
  return 0;
}

static int letters(char** argv) {
  int fd = open_device(argv[0], O_RDONLY);
  off_t at = atoll(argv[1]) * SECTOR, end = at + atoll(argv[2]) * SECTOR;
  char* content = buffer();
  printf("\"");
  for (; at < end; at += PIECE) {
    read_all(fd, content, PIECE, at);
    putchar(content[0] >= ' ' && content[0] <= '~' && content[0] != '"' && content[0] != '\\' ? content[0] : '-');
  }
  printf("\"\n");
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 8 && strcmp(argv[1], "compare") == 0) return compare(argv + 2);
  if (argc == 6 && strcmp(argv[1], "write") == 0) return fill(argv + 2);
  if (argc == 5 && strcmp(argv[1], "read") == 0) return letters(argv + 2);
  return 2;
}
