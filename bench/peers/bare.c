// The least that a client of the kernel's interface can do: no library, one thread, a descriptor that does not block,
// a write for each request, and as many results as there are with each read.
#include <errno.h>
#include <fcntl.h>
#include <linux/dlm.h>
#include <linux/dlm_device.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "turns.h"

struct slot {
  struct dlm_write_request* lock;  // with the name behind it
  size_t lock_size;
  struct dlm_write_request change;  // conversion or unlock
  bool up;                          // what the operation in flight is to lead to
};

static int device;
static struct slot slots[MAX_DEPTH];
static char lock_requests[MAX_DEPTH][sizeof(struct dlm_write_request) + NAME_SIZE] __attribute__((aligned(8)));
static struct dlm_lock_result results[MAX_DEPTH];
// each has room for exactly one result without a value block: readv() goes on to the next only when one is full
static struct iovec segments[MAX_DEPTH];

static void prepare_request(struct dlm_write_request* request, uint8_t command, int index) {
  request->version[0] = DLM_DEVICE_VERSION_MAJOR;
  request->version[1] = DLM_DEVICE_VERSION_MINOR;
  request->version[2] = DLM_DEVICE_VERSION_PATCH;
  request->cmd = command;
  request->is64bit = 1;
  // the kernel hands them back, and wants them not to be 0
  request->i.lock.castparam = (void*)(uintptr_t)(index + 1);
  request->i.lock.castaddr = (void*)1;
  request->i.lock.lksb = (void*)1;
}

static void prepare_slots(void) {
  for (int index = 0; index < MAX_DEPTH; index++) {
    struct slot* slot = &slots[index];
    char name[NAME_SIZE];
    const int size = resource_name(name, index);
    slot->lock = (struct dlm_write_request*)lock_requests[index];
    prepare_request(slot->lock, DLM_USER_LOCK, index);
    slot->lock->i.lock.namelen = (uint8_t)size;
    memcpy(lock_requests[index] + sizeof(struct dlm_write_request), name, (size_t)size);
    slot->lock_size = sizeof(struct dlm_write_request) + (size_t)size;
  }
  for (int i = 0; i < MAX_DEPTH; i++) segments[i] = (struct iovec){&results[i], sizeof results[i]};
}

// Returns what the kernel does: of a new lock its id.
static uint32_t send_request(const struct dlm_write_request* request, size_t size) {
  const ssize_t result = write(device, request, size);
  if (result < 0) fail("write");
  return (uint32_t)result;
}

static void request_lock(struct slot* slot, uint8_t mode) {
  slot->up = true;
  slot->lock->i.lock.mode = mode;
  slot->change.i.lock.lkid = send_request(slot->lock, slot->lock_size);
}

static void request_unlock(struct slot* slot) {
  slot->up = false;
  send_request(&slot->change, sizeof slot->change);
}

static void request_convert(struct slot* slot, bool up) {
  slot->up = up;
  slot->change.i.lock.mode = up ? DLM_LOCK_EX : DLM_LOCK_NL;
  send_request(&slot->change, sizeof slot->change);
}

// Whoever has waited for a result will wait for the next: to read without having polled would be in vain.
static bool waits;

// Returns how many results there are, `wanted` at most.
static int read_results(int wanted) {
  for (;;) {
    struct pollfd readable = {.fd = device, .events = POLLIN};
    if (waits && poll(&readable, 1, -1) < 0) fail("poll");
    // segments that stay empty cost time too
    const ssize_t size = wanted == 1 ? read(device, results, sizeof results[0]) : readv(device, segments, wanted);
    if (size > 0) {
      return (int)((size_t)size / sizeof results[0]);
    }
    if (size == 0 || errno != EAGAIN) fail("readv");
    waits = true;
  }
}

static struct slot* slot_of(const struct dlm_lock_result* result, int status) {
  if (result->lksb.sb_status != status) {
    errno = -result->lksb.sb_status;
    fail("result");
  }
  return &slots[(uintptr_t)result->user_astparam - 1];
}

static void run_pairs(int depth, long count) {
  for (int i = 0; i < depth; i++) prepare_request(&slots[i].change, DLM_USER_UNLOCK, i);
  int in_flight = 0;
  long begun = 0;
  for (; in_flight < depth && begun < count; in_flight++, begun++) request_lock(&slots[in_flight], DLM_LOCK_EX);
  while (in_flight > 0) {
    const int ready = read_results(in_flight);
    for (int i = 0; i < ready; i++) {
      const bool granted = results[i].lksb.sb_status == 0;
      struct slot* slot = slot_of(&results[i], granted ? 0 : -DLM_EUNLOCK);
      if (granted) {
        request_unlock(slot);
      } else if (begun < count) {
        request_lock(slot, DLM_LOCK_EX);
        begun++;
      } else {
        in_flight--;
      }
    }
  }
}

static void await_one(int status) {
  read_results(1);
  slot_of(&results[0], status);
}

static void run_converts(long count) {
  struct slot* slot = &slots[0];
  prepare_request(&slot->change, DLM_USER_LOCK, 0);
  slot->change.i.lock.flags = DLM_LKF_CONVERT;
  request_lock(slot, DLM_LOCK_NL);
  await_one(0);
  for (long i = 0; i < count; i++) {
    request_convert(slot, true);
    await_one(0);
    request_convert(slot, false);
    await_one(0);
  }
  slot->change.cmd = DLM_USER_UNLOCK;
  slot->change.i.lock.flags = 0;
  request_unlock(slot);
  await_one(-DLM_EUNLOCK);
}

static void run(const struct turn* turn) {
  waits = false;
  if (turn->workload == PAIR) {
    run_pairs(turn->depth, turn->count);
  } else {
    run_converts(turn->count);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  char path[80];
  snprintf(path, sizeof path, "/dev/misc/dlm_%s", argv[1]);
  device = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) fail(path);
  prepare_slots();
  take_turns(run);
  return 0;
}
