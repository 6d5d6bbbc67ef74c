// The least that can serve a mirror's log: all regions in sync, bits in memory, nothing on a disk. It answers one uuid,
// and nothing else, while it is told to: "listen" and "stop", each answered by a line.
#include <errno.h>
#include <linux/connector.h>
#include <linux/dm-log-userspace.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "turns.h"

enum { HEADERS = NLMSG_HDRLEN + sizeof(struct cn_msg), PACKET = 1024 };

static uint64_t region_size, region_count;

static int listen_to_kernel(void) {
  const int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
  const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  const int group = CN_IDX_DM;
  if (fd < 0 || bind(fd, (const struct sockaddr*)&address, sizeof address) != 0) fail("bind");
  if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) fail("setsockopt");
  return fd;
}

// Returns the size of the answer's data, which it puts into the request's place.
static uint32_t answer(uint32_t type, char* data, uint32_t size) {
  const int64_t yes = 1;
  const uint64_t none[2] = {0, region_count};
  switch (type) {
    case DM_ULOG_CTR: {
      data[size] = 0;
      uint64_t length = 0;
      if (sscanf(data, "%lu %*s %lu", &length, &region_size) != 2) fail("CTR");
      region_count = (length + region_size - 1) / region_size;
      return 0;
    }
    case DM_ULOG_GET_REGION_SIZE:
      memcpy(data, &region_size, sizeof region_size);
      return sizeof region_size;
    case DM_ULOG_IS_CLEAN:
    case DM_ULOG_IN_SYNC:
      memcpy(data, &yes, sizeof yes);
      return sizeof yes;
    case DM_ULOG_GET_SYNC_COUNT:
      memcpy(data, &region_count, sizeof region_count);
      return sizeof region_count;
    case DM_ULOG_GET_RESYNC_WORK:
    case DM_ULOG_IS_REMOTE_RECOVERING:
      memcpy(data, none, sizeof none);
      return sizeof none;
    case DM_ULOG_STATUS_INFO:
      memcpy(data, "1 clustered-core", 17);
      return 17;
    default:
      return 0;
  }
}

static void serve(int fd) {
  union {
    struct nlmsghdr header;
    char bytes[PACKET];
  } packet;
  if (recv(fd, packet.bytes, sizeof packet, 0) < (ssize_t)(HEADERS + sizeof(struct dm_ulog_request))) return;
  // nothing in a packet is aligned
  struct cn_msg connector;
  struct dm_ulog_request request;
  memcpy(&connector, packet.bytes + NLMSG_HDRLEN, sizeof connector);
  if (connector.id.idx != CN_IDX_DM || connector.id.val != CN_VAL_DM_USERSPACE_LOG) return;
  memcpy(&request, packet.bytes + HEADERS, sizeof request);
  char* data = packet.bytes + HEADERS + sizeof request;
  request.data_size = answer(request.request_type, data, request.data_size);
  request.error = 0;
  memcpy(packet.bytes + HEADERS, &request, sizeof request);
  connector.len = (uint16_t)(sizeof request + request.data_size);
  connector.ack = 0;
  memcpy(packet.bytes + NLMSG_HDRLEN, &connector, sizeof connector);
  packet.header = (struct nlmsghdr){.nlmsg_len = HEADERS + connector.len, .nlmsg_type = NLMSG_DONE};
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  sendto(fd, packet.bytes, packet.header.nlmsg_len, 0, (const struct sockaddr*)&kernel, sizeof kernel);
}

int main(void) {
  char line[80];
  struct pollfd waits[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(waits, 2, -1) < 0) fail("poll");
    if (waits[1].revents != 0) serve(waits[1].fd);
    if (waits[0].revents == 0) continue;
    const ssize_t got = read(STDIN_FILENO, line, sizeof line);
    if (got <= 0) return 0;
    if (waits[1].fd >= 0) close(waits[1].fd);
    waits[1].fd = line[0] == 'l' ? listen_to_kernel() : -1;
    puts("done");
    fflush(stdout);
  }
}
