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

static double started, elapsed;

void start_clock(void) {
  started = now();
}

void stop_clock(void) {
  elapsed += now() - started;
}

static const char* const workloads[] = {
    [PAIR] = "pair", [CONVERT] = "convert", [PASS] = "pass", [KEEP] = "keep", [DEMAND] = "demand", [READ] = "read"};

static bool parse(const char* line, struct turn* turn) {
  char workload[16];
  if (sscanf(line, "%15s %d %ld", workload, &turn->depth, &turn->count) != 3) return false;
  const int count = sizeof workloads / sizeof *workloads;
  int known = 0;
  while (known < count && strcmp(workload, workloads[known]) != 0) known++;
  turn->workload = (enum workload)known;
  return known < count && turn->depth >= 1 && turn->depth <= MAX_DEPTH && turn->count >= 1;
}

void take_turns(void (*run)(const struct turn* turn)) {
  char line[80];
  struct turn turn;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    errno = EINVAL;
    if (!parse(line, &turn)) fail(line);
    elapsed = 0;
    start_clock();
    run(&turn);
    stop_clock();
    printf("%.9f\n", elapsed);
    fflush(stdout);
  }
}
