// ocfs2_dlmfs by its files alone, "bare", and by the C library for them, "libo2dlm"; one lock, in EX.
#include <fcntl.h>
#include <o2dlm/o2dlm.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "turns.h"

// How long a holder is left alone before it is asked to give way.
static const struct timespec rest = {.tv_nsec = 10 * 1000 * 1000};

static char name[NAME_SIZE];
static int descriptor;

// --- files

static char path[PATH_MAX];

static void take_bare(void) {
  descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) fail(path);
}

static void give_bare(void) {
  close(descriptor);
}

static void be_told_bare(void) {}

// --- the library

static struct o2dlm_ctxt* context;

static void check(errcode_t error) {
  if (error == 0) return;
  fprintf(stderr, "libo2dlm: %s\n", error_message(error));
  _exit(1);
}

static void told(void* arg) {
  (void)arg;
}

static void take_library(void) {
  check(o2dlm_lock_with_bast(context, name, 0, O2DLM_LEVEL_EXMODE, told, NULL, &descriptor));
}

static void give_library(void) {
  check(o2dlm_unlock(context, name));
}

static void be_told_library(void) {
  o2dlm_process_bast(context, descriptor);
}

// ---

static struct {
  void (*take)(void);
  void (*give)(void);
  void (*be_told)(void);
} client = {take_bare, give_bare, be_told_bare};

// False: a line came before anybody asked. Who asks may be told of twice, and then nobody asks the second time.
static bool asked_for(void) {
  struct pollfd polled[] = {{.fd = descriptor, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  if (poll(polled, 2, -1) < 0) fail("poll");
  if (polled[0].revents == 0) return false;
  client.be_told();
  return true;
}

static void run_pairs(long count) {
  for (long i = 0; i < count; i++) {
    client.take();
    client.give();
  }
}

static void pass(void) {
  client.take();
  asked_for();
  client.give();
}

static void keep(void) {
  char line[16];
  for (bool asked = true; asked;) {
    client.take();
    asked = asked_for();
    client.give();
  }
  if (fgets(line, sizeof line, stdin) == NULL) fail("stop");
}

static void demand(void) {
  stop_clock();
  nanosleep(&rest, NULL);
  start_clock();
  client.take();
  stop_clock();
  asked_for();
  client.give();
  start_clock();
}

static void run(const struct turn* turn) {
  switch (turn->workload) {
    case PASS:
      for (long i = 0; i < turn->count; i++) pass();
      break;
    case KEEP:
      keep();
      break;
    case DEMAND:
      for (long i = 0; i < turn->count; i++) demand();
      break;
    default:
      run_pairs(turn->count);
  }
}

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const char* mount = argv[1];
  const char* domain = argv[2];
  resource_name(name, 0);
  if (strcmp(argv[3], "libo2dlm") == 0) {
    initialize_o2dl_error_table();
    check(o2dlm_initialize(mount, domain, &context));
    client.take = take_library;
    client.give = give_library;
    client.be_told = be_told_library;
  } else {
    snprintf(path, sizeof path, "%s/%s", mount, domain);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s/%s", mount, domain, name);
  }
  // the first request of a node is a new one, and all others are conversions
  client.take();
  client.give();
  take_turns(run);
  return 0;
}
