// How a peer is told to work: "WORKLOAD DEPTH COUNT" on a line of standard input asks for that many rounds of the
// workload, so many of them in flight; the answer is a line with the seconds that they took.
#pragma once

#include <stdbool.h>

enum workload {
  // a lock in EX and its unlock
  PAIR,
  // a lock that is held, from NL to EX and back
  CONVERT,
};

struct turn {
  enum workload workload;
  int depth;
  long count;
};

enum { MAX_DEPTH = 64, NAME_SIZE = 16 };

// What every party locks; the name's size is returned.
int resource_name(char* name, int index);

// The program's end, with what it says.
_Noreturn void fail(const char* what);

// Takes turns until standard input ends. `run` does all of a turn's work.
void take_turns(void (*run)(const struct turn* turn));
