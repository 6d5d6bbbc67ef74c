// How a peer is told to work: "WORKLOAD DEPTH COUNT" on a line of standard input asks for that many rounds of the
// workload, so many of them in flight; the answer is a line with the seconds that they took.
#pragma once

#include <stdbool.h>

enum workload {
  // a lock in EX and its unlock
  PAIR,
  // a lock that is held, from NL to EX and back
  CONVERT,
  // of ocfs2_dlmfs: to take EX and keep it until somebody asks for it
  PASS,
  // the same until a line "stop" comes, however often
  KEEP,
  // to ask for it of one that keeps it; the time until that has given it away
  DEMAND,
  // of a mirror: to read a block
  READ,
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

// Within a turn: what is done while the clock stands still does not count.
void stop_clock(void);
void start_clock(void);

// Takes turns until standard input ends. `run` does all of a turn's work.
void take_turns(void (*run)(const struct turn* turn));
