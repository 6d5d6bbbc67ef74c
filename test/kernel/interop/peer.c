// A libdlm program that a test tells what to do: one command on each line of standard input, one JSON object on each
// line of standard output. `peer.ts` is the other end.
//
//   create LOCKSPACE              dlm_create_lockspace()
//   open LOCKSPACE                dlm_open_lockspace()
//   close                         dlm_close_lockspace()
//   release LOCKSPACE             dlm_release_lockspace(), without force
//   lock N RESOURCE MODE FLAGS
//   convert N MODE FLAGS LVB
//   unlock N FLAGS
//
// N numbers the program's locks; MODE is a number; FLAGS are libdlm's names joined by '|', or '-'; LVB is 64 digits of
// hex, or '-' for what lock N's buffer has. Every lock asks for blocking notices and has a buffer for the value block.
// Only a conversion has a value to write. libdlm hands none on with an unlock: from PW or EX, of a lock whose last
// operation had VALBLK, it writes what was on libdlm's stack.
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

// uses what it does not include
#include <libdlm.h>

enum { LOCKS = 16 };

struct lock {
  struct dlm_lksb lksb;
  char lvb[DLM_LVB_LEN];
};

static struct lock locks[LOCKS];
static dlm_lshandle_t lockspace;

static const struct {
  const char* name;
  uint32_t flag;
} flag_names[] = {
    {"NOQUEUE", LKF_NOQUEUE},
    {"VALBLK", LKF_VALBLK},
    {"IVVALBLK", LKF_IVVALBLK},
};

static void misused(const char* what) {
  fprintf(stderr, "peer: %s\n", what);
  exit(64);
}

static void completed(void* arg) {
  const struct lock* lock = arg;
  printf("{\"event\":\"completed\",\"lock\":%d,\"status\":%d,\"flags\":%d,\"lvb\":\"", (int)(lock - locks),
         lock->lksb.sb_status, lock->lksb.sb_flags);
  for (int i = 0; i < DLM_LVB_LEN; i++) printf("%02x", (unsigned char)lock->lvb[i]);
  puts("\"}");
}

static void blocking(void* arg) {
  printf("{\"event\":\"blocking\",\"lock\":%d}\n", (int)((struct lock*)arg - locks));
}

/** What libdlm returned for a lock's request; nothing when its completion is to come. */
static void taken(const struct lock* lock, int result) {
  if (result != 0) printf("{\"event\":\"refused\",\"lock\":%d,\"errno\":%d}\n", (int)(lock - locks), errno);
}

/** What became of a lockspace's command. */
static void done(bool success) {
  printf("{\"event\":\"done\",\"errno\":%d}\n", success ? 0 : errno);
}

static const char* next_word(void) {
  const char* word = strtok(NULL, " \n");
  if (word == NULL) misused("a word is missing");
  return word;
}

static struct lock* next_lock(void) {
  const int number = atoi(next_word());
  if (number < 0 || number >= LOCKS) misused("there is no such lock");
  return &locks[number];
}

static uint32_t next_mode(void) {
  return (uint32_t)atoi(next_word());
}

static uint32_t next_flags(void) {
  const char* rest = next_word();
  uint32_t flags = 0;
  if (strcmp(rest, "-") == 0) return flags;
  for (; *rest != '\0'; rest += *rest == '|') {
    const size_t length = strcspn(rest, "|");
    size_t i = 0;
    const size_t count = sizeof flag_names / sizeof flag_names[0];
    while (i < count && (strncmp(flag_names[i].name, rest, length) != 0 || flag_names[i].name[length] != '\0')) i++;
    if (i == count) misused("there is no such flag");
    flags |= flag_names[i].flag;
    rest += length;
  }
  return flags;
}

static void next_lvb(struct lock* lock) {
  const char* hex = next_word();
  if (strcmp(hex, "-") == 0) return;
  if (strlen(hex) != 2 * DLM_LVB_LEN) misused("a value block has 32 bytes");
  for (int i = 0; i < DLM_LVB_LEN; i++) {
    unsigned int byte;
    if (sscanf(hex + 2 * i, "%2x", &byte) != 1) misused("a value block is in hex");
    lock->lvb[i] = (char)byte;
  }
}

static void request(struct lock* lock, const char* resource, uint32_t mode, uint32_t flags) {
  taken(lock, dlm_ls_lock(lockspace, mode, &lock->lksb, flags, resource, (unsigned int)strlen(resource), 0, completed,
                          lock, blocking, NULL));
}

static void obey(char* line) {
  const char* command = strtok(line, " \n");
  if (command == NULL) misused("an empty line");
  if (strcmp(command, "create") == 0) {
    lockspace = dlm_create_lockspace(next_word(), 0600);
    done(lockspace != NULL);
  } else if (strcmp(command, "open") == 0) {
    lockspace = dlm_open_lockspace(next_word());
    done(lockspace != NULL);
  } else if (strcmp(command, "close") == 0) {
    done(dlm_close_lockspace(lockspace) == 0);
    lockspace = NULL;
  } else if (strcmp(command, "release") == 0) {
    done(dlm_release_lockspace(next_word(), lockspace, 0) == 0);
    lockspace = NULL;
  } else if (strcmp(command, "lock") == 0) {
    struct lock* lock = next_lock();
    memset(lock, 0, sizeof *lock);
    lock->lksb.sb_lvbptr = lock->lvb;
    const char* resource = next_word();
    const uint32_t mode = next_mode();
    request(lock, resource, mode, next_flags());
  } else if (strcmp(command, "convert") == 0) {
    struct lock* lock = next_lock();
    const uint32_t mode = next_mode();
    const uint32_t flags = next_flags();
    next_lvb(lock);
    request(lock, "", mode, flags | LKF_CONVERT);
  } else if (strcmp(command, "unlock") == 0) {
    struct lock* lock = next_lock();
    const uint32_t flags = next_flags();
    taken(lock, dlm_ls_unlock(lockspace, lock->lksb.sb_lkid, flags, &lock->lksb, lock));
  } else {
    misused("there is no such command");
  }
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  // so that poll() sees every byte that was not yet taken
  setvbuf(stdin, NULL, _IONBF, 0);
  char* line = NULL;
  size_t size = 0;
  for (;;) {
    struct pollfd polled[] = {
        {.fd = 0, .events = POLLIN},
        // poll() passes over a negative one
        {.fd = lockspace ? dlm_ls_get_fd(lockspace) : -1, .events = POLLIN},
    };
    if (poll(polled, 2, -1) < 0) return 71;
    if (polled[1].revents != 0 && dlm_dispatch(polled[1].fd) < 0) return 71;
    if (polled[0].revents != 0) {
      if (getline(&line, &size, stdin) < 0) return 0;
      obey(line);
    }
  }
}
