// Sockets of the connector that are none of ours.
//
//   stranger listen               joins group 7, says "joined" or the errno's name, and counts what comes until stdin
//   ends stranger send PORT KIND COUNT sends so many datagrams to a port; says how many were sent
//
// KIND: `request` is a whole MARK_REGION for the log "stranger"; `short`, `long` and `noise` are none: cut off, with a
// length that is beyond its end, and random bytes; `mixed` is all of them in turn.

#include <errno.h>
#include <fcntl.h>
#include <linux/connector.h>
#include <linux/dm-log-userspace.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct datagram {
  struct nlmsghdr nl;
  struct cn_msg cn;
  char request[sizeof(struct dm_ulog_request) + 8];
};

static int netlink(void) {
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
  if (fd < 0 || bind(fd, (struct sockaddr*)&self, sizeof(self)) != 0) {
    perror("socket");
    exit(1);
  }
  return fd;
}

static int listen_to_group(void) {
  int fd = netlink(), group = CN_IDX_DM;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
    printf("%s\n", errno == EPERM ? "EPERM" : strerror(errno));
    return 0;
  }
  printf("joined\n");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  char packet[4096];
  int count = 0;
  while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) > 0) count++;
  printf("%d\n", count);
  return 0;
}

static size_t make(struct datagram* d, const char* kind, unsigned i) {
  static const char* const KINDS[] = {"request", "short", "long", "noise"};
  if (strcmp(kind, "mixed") == 0) kind = KINDS[i % 4];
  size_t size = sizeof(*d);
  struct dm_ulog_request request = {
      .luid = 1, .uuid = "stranger", .version = 3, .seq = i, .request_type = DM_ULOG_MARK_REGION, .data_size = 8};
  memset(d, 0, sizeof(*d));
  d->nl = (struct nlmsghdr){.nlmsg_len = (unsigned)size, .nlmsg_type = NLMSG_DONE, .nlmsg_seq = i};
  d->cn = (struct cn_msg){.id = {CN_IDX_DM, CN_VAL_DM_USERSPACE_LOG}, .seq = i, .len = sizeof(d->request)};
  memcpy(d->request, &request, sizeof(request));
  if (strcmp(kind, "short") == 0) size = 16 + i % (size - 16);
  if (strcmp(kind, "long") == 0) d->nl.nlmsg_len = 60000, d->cn.len = 60000;
  if (strcmp(kind, "noise") == 0) {
    for (size_t at = 0; at < size; at++) ((char*)d)[at] = (char)rand();
  }
  return size;
}

static int send_to(const char* port, const char* kind, unsigned count) {
  int fd = netlink();
  struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = (unsigned)strtoul(port, NULL, 0)};
  unsigned sent = 0;
  for (unsigned i = 0; i < count; i++) {
    struct datagram d;
    size_t size = make(&d, kind, i);
    if (sendto(fd, &d, size, MSG_DONTWAIT, (struct sockaddr*)&to, sizeof(to)) > 0) sent++;
  }
  printf("%u\n", sent);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "listen") == 0) return listen_to_group();
  if (argc == 5 && strcmp(argv[1], "send") == 0) return send_to(argv[2], argv[3], (unsigned)atoi(argv[4]));
  return 2;
}
