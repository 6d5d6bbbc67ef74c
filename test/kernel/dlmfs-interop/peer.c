// A libo2dlm program that a test tells what to do: one command on each line of standard input, one JSON object on each
// line of standard output. `peer.ts` is the other end.
//
//   initialize MOUNT DOMAIN    o2dlm_initialize()
//   lock NAME MODE             o2dlm_lock(); the program does nothing else until it is granted
//   trylock NAME MODE          the same with O2DLM_TRYLOCK
//   lock_with_bast NAME MODE   o2dlm_lock_with_bast(); one notice for each hold
//   unlock NAME                o2dlm_unlock()
//   drop NAME                  o2dlm_drop_lock()
//   read_lvb NAME              o2dlm_read_lvb(), all there is
//   write_lvb NAME HEX         o2dlm_write_lvb()
//   destroy                    o2dlm_destroy()
//
// MODE is PR or EX. Each command is answered by {"event":"done"} with the name that libo2dlm has for its error, or "".
#include <o2dlm/o2dlm.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHED = 16, VALUE_BYTES = 64 };

// In the order of libo2dlm's table.
static const char* const error_names[] = {
    "NO_MEMORY",
    "SERVICE_UNAVAILABLE",
    "INVALID_LOCK_NAME",
    "INVALID_LOCK_LEVEL",
    "INTERNAL_FAILURE",
    "NAME_TOO_LONG",
    "STATFS",
    "NO_FS_DIR",
    "NO_FS",
    "OPEN_DLM_DIR",
    "NO_DOMAIN_DIR",
    "BAD_DOMAIN_DIR",
    "BUSY_DOMAIN_DIR",
    "DOMAIN_DIR",
    "DOMAIN_DESTROY",
    "DOMAIN_CREATE",
    "RANDOM",
    "BUSY_LOCK",
    "OUTPUT_ERROR",
    "UNLINK",
    "UNKNOWN_LOCK",
    "RECURSIVE_LOCK",
    "LOCKING",
    "FAILED_UNLOCKS",
    "INVALID_ARGS",
    "TRYLOCK_FAILED",
    "LVB_READ",
    "LVB_WRITE",
    "SEEK",
    "DOMAIN_BUSY",
    "BAST_UNSUPPORTED",
    "LVB_INVALID",
};
_Static_assert(sizeof error_names / sizeof error_names[0] == O2DLM_ET_LVB_INVALID - ERROR_TABLE_BASE_o2dl + 1,
               "a name for each error");

static struct o2dlm_ctxt* context;

// Locks whose notice is still to come; a free place has no descriptor.
static struct {
  char name[O2DLM_LOCK_ID_MAX_LEN];
  int fd;
} watched[WATCHED];

static void misused(const char* what) {
  fprintf(stderr, "peer: %s\n", what);
  exit(64);
}

static char* next_word(void) {
  char* word = strtok(NULL, " \n");
  if (word == NULL) misused("a word is missing");
  return word;
}

static enum o2dlm_lock_level next_mode(void) {
  const char* word = next_word();
  if (strcmp(word, "PR") == 0) return O2DLM_LEVEL_PRMODE;
  if (strcmp(word, "EX") == 0) return O2DLM_LEVEL_EXMODE;
  misused("a mode is PR or EX");
  return O2DLM_LEVEL_PRMODE;
}

static void done_with(errcode_t error, const char* value, unsigned int bytes) {
  const char* name = error == 0 ? "" : error_names[error - ERROR_TABLE_BASE_o2dl];
  printf("{\"event\":\"done\",\"error\":\"%s\",\"lvb\":\"", name);
  for (unsigned int i = 0; i < bytes; i++) printf("%02x", (unsigned char)value[i]);
  puts("\"}");
}

static void done(errcode_t error) {
  done_with(error, NULL, 0);
}

static void blocking(void* name) {
  printf("{\"event\":\"blocking\",\"name\":\"%s\"}\n", (const char*)name);
}

static void lock_with_bast(const char* name, enum o2dlm_lock_level mode) {
  int place = 0;
  while (place < WATCHED && watched[place].fd >= 0) place++;
  if (place == WATCHED) misused("too many locks");
  snprintf(watched[place].name, sizeof watched[place].name, "%s", name);
  done(o2dlm_lock_with_bast(context, name, 0, mode, blocking, watched[place].name, &watched[place].fd));
}

static void forget(const char* name) {
  for (int i = 0; i < WATCHED; i++) {
    if (strcmp(watched[i].name, name) == 0) watched[i].fd = -1;
  }
}

static void read_value(char* name) {
  char value[VALUE_BYTES];
  unsigned int bytes = 0;
  const errcode_t error = o2dlm_read_lvb(context, name, value, sizeof value, &bytes);
  done_with(error, value, error == 0 ? bytes : 0);
}

static void write_value(char* name) {
  char value[VALUE_BYTES];
  const char* hex = next_word();
  unsigned int bytes = 0;
  for (; hex[2 * bytes] != '\0'; bytes++) {
    unsigned int byte;
    if (bytes == VALUE_BYTES || sscanf(hex + 2 * (size_t)bytes, "%2x", &byte) != 1) misused("no value");
    value[bytes] = (char)byte;
  }
  unsigned int written = 0;
  const errcode_t error = o2dlm_write_lvb(context, name, value, bytes, &written);
  if (error == 0 && written != bytes) misused("a short write");
  done(error);
}

static void obey(char* line) {
  const char* command = strtok(line, " \n");
  if (command == NULL) misused("an empty line");
  if (strcmp(command, "initialize") == 0) {
    const char* mount = next_word();
    done(o2dlm_initialize(mount, next_word(), &context));
    return;
  }
  if (strcmp(command, "destroy") == 0) {
    done(o2dlm_destroy(context));
    return;
  }
  char* name = next_word();
  if (strcmp(command, "lock") == 0) {
    done(o2dlm_lock(context, name, 0, next_mode()));
  } else if (strcmp(command, "trylock") == 0) {
    done(o2dlm_lock(context, name, O2DLM_TRYLOCK, next_mode()));
  } else if (strcmp(command, "lock_with_bast") == 0) {
    lock_with_bast(name, next_mode());
  } else if (strcmp(command, "unlock") == 0) {
    forget(name);
    done(o2dlm_unlock(context, name));
  } else if (strcmp(command, "drop") == 0) {
    done(o2dlm_drop_lock(context, name));
  } else if (strcmp(command, "read_lvb") == 0) {
    read_value(name);
  } else if (strcmp(command, "write_lvb") == 0) {
    write_value(name);
  } else {
    misused("there is no such command");
  }
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  // so that poll() sees every byte that was not yet taken
  setvbuf(stdin, NULL, _IONBF, 0);
  for (int i = 0; i < WATCHED; i++) watched[i].fd = -1;
  char* line = NULL;
  size_t size = 0;
  for (;;) {
    struct pollfd polled[WATCHED + 1] = {{.fd = 0, .events = POLLIN}};
    // poll() passes over negative ones
    for (int i = 0; i < WATCHED; i++) polled[i + 1] = (struct pollfd){.fd = watched[i].fd, .events = POLLIN};
    if (poll(polled, WATCHED + 1, -1) < 0) return 71;
    for (int i = 0; i < WATCHED; i++) {
      if (polled[i + 1].revents == 0) continue;
      o2dlm_process_bast(context, watched[i].fd);
      // it stays readable until the lock is given back
      watched[i].fd = -1;
    }
    if (polled[0].revents != 0) {
      if (getline(&line, &size, stdin) < 0) return 0;
      obey(line);
    }
  }
}
