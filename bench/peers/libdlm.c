// The C library, in the two ways it is meant to be used: "wait", blocking calls with a thread of the library's own that
// reads results, and "async", callbacks that run when poll() has found the library's descriptor readable.
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
// after what it needs and does not include
#include <libdlm.h>

#include "turns.h"

struct name {
  char bytes[NAME_SIZE];
  unsigned size;
};

static dlm_lshandle_t lockspace;
static struct name names[MAX_DEPTH];

static void check(bool ok, int status, int expected, const char* what) {
  if (ok && status == expected) return;
  if (ok) errno = status;
  fail(what);
}

// --- blocking calls

static void lock_wait(uint32_t mode, struct dlm_lksb* lksb, uint32_t flags) {
  const struct name* name = &names[0];
  const int result = dlm_ls_lock_wait(lockspace, mode, lksb, flags, name->bytes, name->size, 0, NULL, NULL, NULL);
  check(result == 0, lksb->sb_status, 0, "dlm_ls_lock_wait");
}

static void unlock_wait(struct dlm_lksb* lksb) {
  const int result = dlm_ls_unlock_wait(lockspace, lksb->sb_lkid, 0, lksb);
  check(result == 0, lksb->sb_status, EUNLOCK, "dlm_ls_unlock_wait");
}

static void run_wait(const struct turn* turn) {
  struct dlm_lksb lksb = {0};
  if (turn->workload == PAIR) {
    for (long i = 0; i < turn->count; i++) {
      lock_wait(LKM_EXMODE, &lksb, 0);
      unlock_wait(&lksb);
    }
    return;
  }
  lock_wait(LKM_NLMODE, &lksb, 0);
  for (long i = 0; i < turn->count; i++) {
    lock_wait(LKM_EXMODE, &lksb, LKF_CONVERT);
    lock_wait(LKM_NLMODE, &lksb, LKF_CONVERT);
  }
  unlock_wait(&lksb);
}

// --- callbacks

struct slot {
  struct dlm_lksb lksb;
  int index;
};

static struct slot slots[MAX_DEPTH];
static long to_begin;
static int in_flight;

static void request_lock(struct slot* slot, uint32_t mode, uint32_t flags, void (*done)(void*)) {
  const struct name* name = &names[slot->index];
  const int result =
      dlm_ls_lock(lockspace, mode, &slot->lksb, flags, name->bytes, name->size, 0, done, slot, NULL, NULL);
  if (result != 0) fail("dlm_ls_lock");
}

static void request_unlock(struct slot* slot) {
  if (dlm_ls_unlock(lockspace, slot->lksb.sb_lkid, 0, &slot->lksb, slot) != 0) fail("dlm_ls_unlock");
}

static void dispatch(void) {
  struct pollfd readable = {.fd = dlm_ls_get_fd(lockspace), .events = POLLIN};
  if (poll(&readable, 1, -1) < 0) fail("poll");
  if (dlm_dispatch(readable.fd) < 0) fail("dlm_dispatch");
}

static void pair_step(void* arg);

static void begin_pair(struct slot* slot) {
  to_begin--;
  request_lock(slot, LKM_EXMODE, 0, pair_step);
}

static void pair_step(void* arg) {
  struct slot* slot = arg;
  if (slot->lksb.sb_status == 0) {
    request_unlock(slot);
    return;
  }
  check(true, slot->lksb.sb_status, EUNLOCK, "dlm_ls_lock");
  if (to_begin > 0) {
    begin_pair(slot);
  } else {
    in_flight--;
  }
}

static void step_done(void* arg) {
  (void)arg;
  in_flight--;
}

static void await_step(const struct slot* slot, int expected, const char* what) {
  for (in_flight = 1; in_flight > 0;) dispatch();
  check(true, slot->lksb.sb_status, expected, what);
}

static void step(struct slot* slot, uint32_t mode, uint32_t flags) {
  request_lock(slot, mode, flags, step_done);
  await_step(slot, 0, "dlm_ls_lock");
}

static void run_converts(long count) {
  struct slot* slot = &slots[0];
  step(slot, LKM_NLMODE, 0);
  for (long i = 0; i < count; i++) {
    step(slot, LKM_EXMODE, LKF_CONVERT);
    step(slot, LKM_NLMODE, LKF_CONVERT);
  }
  request_unlock(slot);
  await_step(slot, EUNLOCK, "dlm_ls_unlock");
}

static void run_async(const struct turn* turn) {
  if (turn->workload == CONVERT) {
    run_converts(turn->count);
    return;
  }
  to_begin = turn->count;
  for (in_flight = 0; in_flight < turn->depth && to_begin > 0;) begin_pair(&slots[in_flight++]);
  while (in_flight > 0) dispatch();
}

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  lockspace = dlm_open_lockspace(argv[1]);
  if (lockspace == NULL) fail("dlm_open_lockspace");
  for (int i = 0; i < MAX_DEPTH; i++) {
    names[i].size = (unsigned)resource_name(names[i].bytes, i);
    slots[i].index = i;
  }
  const bool waits = strcmp(argv[2], "wait") == 0;
  if (waits && dlm_ls_pthread_init(lockspace) != 0) fail("dlm_ls_pthread_init");
  take_turns(waits ? run_wait : run_async);
  return 0;
}
