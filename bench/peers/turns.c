#include "turns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int resource_name(char* name, int index) {
  return snprintf(name, NAME_SIZE, "bench-%03d", index);
}

_Noreturn void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool parse(const char* line, struct turn* turn) {
  char workload[16];
  if (sscanf(line, "%15s %d %ld", workload, &turn->depth, &turn->count) != 3) return false;
  turn->workload = strcmp(workload, "convert") == 0 ? CONVERT : PAIR;
  return turn->depth >= 1 && turn->depth <= MAX_DEPTH && turn->count >= 1;
}

void take_turns(void (*run)(const struct turn* turn)) {
  char line[80];
  struct turn turn;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    errno = EINVAL;
    if (!parse(line, &turn)) fail(line);
    const double start = now();
    run(&turn);
    printf("%.9f\n", now() - start);
    fflush(stdout);
  }
}
