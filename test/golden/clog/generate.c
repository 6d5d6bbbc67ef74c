// Writes packets.json: what kernels send, and what they want to be answered, by the kernel's own definitions and not by
// this package's. Run by test/native/clog-golden.test.ts, which also says how to bring the file up to date.
#include <errno.h>
#include <inttypes.h>
#include <linux/connector.h>
#include <linux/dm-log-userspace.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// include/linux/dm-log-cluster.h of "Updated cluster log patch (take 5)", dm-devel, June 2009.
struct dm_clog_request {
  char uuid[DM_UUID_LEN];
  char padding[7];
  int32_t error;
  uint32_t seq;
  uint32_t request_type;
  uint32_t data_size;
  char data[];
};

struct packet {
  uint8_t bytes[2048];
  uint32_t size;
};

static const char* const NAMES[] = {"",
                                    "CTR",
                                    "DTR",
                                    "PRESUSPEND",
                                    "POSTSUSPEND",
                                    "RESUME",
                                    "GET_REGION_SIZE",
                                    "IS_CLEAN",
                                    "IN_SYNC",
                                    "FLUSH",
                                    "MARK_REGION",
                                    "CLEAR_REGION",
                                    "GET_RESYNC_WORK",
                                    "SET_REGION_SYNC",
                                    "GET_SYNC_COUNT",
                                    "STATUS_INFO",
                                    "STATUS_TABLE",
                                    "IS_REMOTE_RECOVERING"};

// The request that is being written.
static struct {
  bool clog;
  const char* uuid;
  uint64_t luid;
  uint32_t version, seq, type;
} now;
static const char* separator;

static void frame(struct packet* packet, uint32_t seq, uint32_t ack, uint32_t length) {
  struct nlmsghdr netlink = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct cn_msg) + length), .nlmsg_type = NLMSG_DONE};
  struct cn_msg connector = {.id = {CN_IDX_DM, CN_VAL_DM_USERSPACE_LOG}, .seq = seq, .ack = ack};
  connector.len = (uint16_t)length;
  memcpy(packet->bytes, &netlink, sizeof(netlink));
  memcpy(packet->bytes + NLMSG_HDRLEN, &connector, sizeof(connector));
  packet->size = netlink.nlmsg_len;
}

static void pack(struct packet* packet, int32_t error, const void* data, uint32_t size) {
  uint8_t* const body = packet->bytes + NLMSG_LENGTH(sizeof(struct cn_msg));
  memset(packet, 0, sizeof(*packet));
  if (now.clog) {
    struct dm_clog_request request = {.error = error, .seq = now.seq, .request_type = now.type, .data_size = size};
    strncpy(request.uuid, now.uuid, sizeof(request.uuid));
    memcpy(body, &request, sizeof(request));
    memcpy(body + sizeof(request), data, size);
    frame(packet, now.seq, 0, sizeof(request) + size);
  } else {
    struct dm_ulog_request request = {.luid = now.luid,
                                      .version = now.version,
                                      .error = error,
                                      .seq = now.seq,
                                      .request_type = now.type,
                                      .data_size = size};
    strncpy(request.uuid, now.uuid, sizeof(request.uuid));
    memcpy(body, &request, sizeof(request));
    memcpy(body + sizeof(request), data, size);
    frame(packet, now.seq, 0, sizeof(request) + size);
  }
}

static void hex(const struct packet* packet) {
  putchar('"');
  for (uint32_t i = 0; i < packet->size; i++) printf("%02x", packet->bytes[i]);
  putchar('"');
}

// `body`: the rest of the decoded body's members, from a comma on. The kernel sends only the seq of its connector
// header as that of its netlink header, too.
static void request(const char* name, const char* body, const void* data, uint32_t size) {
  struct packet packet;
  pack(&packet, 0, data, size);
  memcpy(packet.bytes + offsetof(struct nlmsghdr, nlmsg_seq), &now.seq, sizeof(now.seq));
  packet.size = NLMSG_ALIGN(packet.size);  // as it is received
  printf("%s    { \"name\": \"%s%u %s\", \"flavour\": \"%s\",\n      \"packet\": ", separator,
         now.clog ? "clog" : "ulog ", now.version, name, now.clog ? "clog" : "ulog");
  hex(&packet);
  printf(",\n      \"decoded\": { \"flavour\": \"%s\", \"uuid\": \"%s\", \"luid\": \"%" PRIu64
         "\", \"version\": %u, \"seq\": %u, \"body\": { \"name\": \"%s\"%s } },\n      \"answers\": [",
         now.clog ? "clog" : "ulog", now.uuid, now.clog ? 0 : now.luid, now.version, now.seq, NAMES[now.type], body);
  separator = "";
}
static void answer(const char* members, const void* data, uint32_t size) {
  struct packet packet;
  pack(&packet, 0, data, size);
  printf("%s\n        { \"answer\": { \"name\": \"%s\"%s }, \"packet\": ", separator, NAMES[now.type], members);
  hex(&packet);
  printf(" }");
  separator = ",";
}
static void error(int32_t value) {
  struct packet packet;
  pack(&packet, value, "", 0);
  printf("%s\n        { \"error\": %d, \"packet\": ", separator, value);
  hex(&packet);
  printf(" }");
  separator = ",";
}
static void ack(int value) {
  struct packet packet;
  frame(&packet, now.seq, (uint32_t)value, 0);
  printf("%s\n        { \"ack\": %d, \"packet\": ", separator, value);
  hex(&packet);
  printf(" }");
  separator = ",";
}
static void end(void) {
  printf("\n      ] }");
  separator = ",\n";
}

static void done(void) {
  answer("", "", 0);
  error(-EIO);
  error(-ESRCH);
  ack(0);
  ack(EAGAIN);
  end();
}

static void no_data(uint32_t type) {
  now.type = type;
  now.seq++;
  request(NAMES[type], "", "", 0);
}

static void constructor(const char* name, const char* text, bool reconnect, const char* words, const char* device) {
  char body[512];
  now.type = DM_ULOG_CTR;
  now.seq++;
  snprintf(body, sizeof(body), ", \"words\": %s, \"reconnect\": %s", words, reconnect ? "true" : "false");
  // dm-log-userspace-base.c: str_size is sprintf()'s; userspace_do_request() sends strlen() + 1
  request(name, body, text, (uint32_t)strlen(text) + (reconnect ? 1 : 0));
  answer(", \"device\": null", "", 0);
  if (device != NULL) {
    const bool room = !now.clog && now.version >= 2 && !reconnect;
    char members[256];
    snprintf(members, sizeof(members), ", \"device\": \"%s\"", device);
    answer(members, device, room ? (uint32_t)strlen(device) + 1 : 0);
  }
  error(-EINVAL);
  ack(0);
  ack(EINVAL);
  end();
}

// The answers of userspace_in_sync() and cluster_in_sync(), and of their neighbours.
static void flag(bool yes) {
  const int64_t wide = yes;
  const int narrow = yes;
  const char* const members = yes ? ", \"yes\": true" : ", \"yes\": false";
  if (now.clog)
    answer(members, &narrow, sizeof(narrow));
  else
    answer(members, &wide, sizeof(wide));
}
static void one_region(uint32_t type, uint64_t region) {
  char body[128], name[64];
  now.type = type;
  now.seq++;
  snprintf(body, sizeof(body), ", \"region\": \"%" PRIu64 "\"", region);
  snprintf(name, sizeof(name), "%s of %" PRIu64, NAMES[type], region);
  request(name, body, &region, sizeof(region));
  if (type == DM_ULOG_IS_REMOTE_RECOVERING) {
    struct {
      int64_t is_recovering;
      uint64_t in_sync_hint;
    } pkg = {1, 5};
    answer(", \"recovering\": true, \"firstUnsynced\": 5", &pkg, sizeof(pkg));
    pkg.is_recovering = 0;
    pkg.in_sync_hint = 0x123456789;
    answer(", \"recovering\": false, \"firstUnsynced\": 4886718345", &pkg, sizeof(pkg));
  } else {
    flag(true);
    flag(false);
  }
  ack(EAGAIN);
  ack(EIO);
  end();
}

static void regions(uint32_t type, uint32_t count) {
  uint64_t group[32];
  char body[1024], name[64];
  now.type = type;
  now.seq++;
  size_t at = (size_t)snprintf(body, sizeof(body), ", \"regions\": [");
  for (uint32_t i = 0; i < count; i++) {
    group[i] = i == 31 ? UINT64_MAX : 0x100000000U * (i % 3) + i * 17;
    at += (size_t)snprintf(body + at, sizeof(body) - at, "%s\"%" PRIu64 "\"", i ? ", " : "", group[i]);
  }
  snprintf(body + at, sizeof(body) - at, "]");
  snprintf(name, sizeof(name), "%s with %u", NAMES[type], count);
  request(name, body, group, count * (uint32_t)sizeof(group[0]));
  done();
}

static void set_region_sync(uint64_t region, bool in_sync) {
  const struct {
    uint64_t r;
    int64_t i;
  } pkg = {region, in_sync};
  char body[128];
  now.type = DM_ULOG_SET_REGION_SYNC;
  now.seq++;
  snprintf(body, sizeof(body), ", \"region\": \"%" PRIu64 "\", \"inSync\": %s", region, in_sync ? "true" : "false");
  request(in_sync ? "SET_REGION_SYNC in" : "SET_REGION_SYNC out", body, &pkg, sizeof(pkg));
  done();
}

static void resync_work(void) {
  struct {
    int64_t i;
    uint64_t r;
  } pkg = {1, 77};
  no_data(DM_ULOG_GET_RESYNC_WORK);
  answer(", \"region\": 77", &pkg, sizeof(pkg));
  pkg.i = 0;
  pkg.r = 0;
  answer(", \"region\": null", &pkg, sizeof(pkg));
  ack(EAGAIN);
  end();
}

static void number(uint32_t type, const char* member, uint64_t value) {
  char members[64];
  no_data(type);
  snprintf(members, sizeof(members), ", \"%s\": %" PRIu64, member, value);
  answer(members, &value, sizeof(value));
  ack(EAGAIN);
  ack(EIO);
  end();
}

// dm-raid1.c:mirror_status() goes on behind a table's text, and ends with an info's.
static void text(uint32_t type, const char* with_end, uint32_t size) {
  char members[128];
  no_data(type);
  snprintf(members, sizeof(members), ", \"text\": \"3 clustered-disk 253:3 A\"");
  answer(members, with_end, size);
  ack(EIO);
  end();
}

static void every_type(void) {
  if (now.clog) {
    constructor("CTR", "/dev/ram2 1024 LVM-abc nosync 8192", false,
                "[\"/dev/ram2\", \"1024\", \"LVM-abc\", \"nosync\", \"8192\"]", "/dev/ram2");
  } else {
    const char* const words = "[\"8192\", \"clustered-disk\", \"/dev/ram2\", \"1024\"]";
    constructor("CTR", "8192 clustered-disk /dev/ram2 1024", false, words, "/dev/ram2");
    constructor("CTR again", "8192 clustered-disk /dev/ram2 1024", true, words, "/dev/ram2");
    regions(DM_ULOG_MARK_REGION, 3);
    regions(DM_ULOG_CLEAR_REGION, 32);
  }
  for (uint32_t type = DM_ULOG_DTR; type <= DM_ULOG_RESUME; type++) {
    no_data(type);
    done();
  }
  number(DM_ULOG_GET_REGION_SIZE, "size", 1024);
  one_region(DM_ULOG_IS_CLEAN, 0);
  for (uint64_t region = 1; region <= 3; region++) one_region(DM_ULOG_IN_SYNC, region * region);
  one_region(DM_ULOG_IN_SYNC, 0x500000000);
  regions(DM_ULOG_FLUSH, 0);
  if (!now.clog && now.version == 3) {
    regions(DM_ULOG_FLUSH, 1);
    regions(DM_ULOG_FLUSH, 32);
  }
  regions(DM_ULOG_MARK_REGION, 1);
  regions(DM_ULOG_CLEAR_REGION, 1);
  resync_work();
  set_region_sync(9, true);
  set_region_sync(UINT32_MAX, false);
  number(DM_ULOG_GET_SYNC_COUNT, "count", 0x1000000000);
  text(DM_ULOG_STATUS_INFO, "3 clustered-disk 253:3 A", 25);
  text(DM_ULOG_STATUS_TABLE, "3 clustered-disk 253:3 A ", 25);
  one_region(DM_ULOG_IS_REMOTE_RECOVERING, 4);
}

// The same request under another number, as after 15 s; the numbers wrap.
static void retried(void) {
  now.seq = UINT32_MAX - 1;
  one_region(DM_ULOG_IN_SYNC, 12);
  one_region(DM_ULOG_IN_SYNC, 12);
  now.seq = 7;  // in the older layout, its data size and its number are now both where the newer one has its number
  one_region(DM_ULOG_IN_SYNC, 5);
}

static void malformed(const char* reason, const struct packet* packet) {
  printf("%s    { \"reason\": \"%s\", \"packet\": ", separator, reason);
  hex(packet);
  printf(" }");
  separator = ",\n";
}

static void put32(struct packet* packet, size_t at, uint32_t value) {
  memcpy(packet->bytes + at, &value, sizeof(value));
}
static void put16(struct packet* packet, size_t at, uint16_t value) {
  memcpy(packet->bytes + at, &value, sizeof(value));
}

// A good request for a region but for one field.
static struct packet region_request(void) {
  struct packet packet;
  const uint64_t region = 5;
  now.type = DM_ULOG_IN_SYNC;
  now.seq++;
  pack(&packet, 0, &region, sizeof(region));
  return packet;
}
static void one_wrong(const char* reason, size_t at, uint32_t value) {
  struct packet packet = region_request();
  put32(&packet, at, value);
  malformed(reason, &packet);
}

static void wrong_data(uint32_t type, const void* data, uint32_t size) {
  struct packet packet;
  now.type = type;
  now.seq++;
  pack(&packet, 0, data, size);
  malformed("its data is not of its type", &packet);
}

static void every_malformed(void) {
  static const uint64_t zeros[33];
  const size_t connector = NLMSG_HDRLEN, body = connector + sizeof(struct cn_msg);
  const size_t size = now.clog ? sizeof(struct dm_clog_request) : sizeof(struct dm_ulog_request);
  const size_t uuid = body + (now.clog ? 0 : offsetof(struct dm_ulog_request, uuid));
  struct packet packet = region_request();
  packet.size = (uint32_t)body - 1;
  malformed("it is shorter than its headers", &packet);
  one_wrong("its netlink length is less than its headers", 0, (uint32_t)body - 1);
  packet = region_request();
  packet.size--;
  malformed("its netlink length is more than was received", &packet);
  one_wrong("its netlink type is not DONE", 4, NLMSG_ERROR);
  one_wrong("its connector id is not 7:1", connector, CN_IDX_PROC);
  one_wrong("its connector id is not 7:1", connector + 4, 2);
  packet = region_request();
  put16(&packet, connector + offsetof(struct cn_msg, len), (uint16_t)(size + 9));
  malformed("its connector length is more than its netlink length", &packet);
  packet = region_request();
  put16(&packet, connector + offsetof(struct cn_msg, len), (uint16_t)(size + 7));
  malformed("it is a request of neither layout", &packet);
  one_wrong("it is an acknowledgement", connector + offsetof(struct cn_msg, ack), EAGAIN);
  one_wrong("it is a request of neither layout", body + size - 4, 9);
  one_wrong("it is a request of neither layout", body + size - 8, 0);
  one_wrong("it is a request of neither layout", body + size - 8, 18);
  one_wrong("it is a request of neither layout", body + size - 16, (uint32_t)-EIO);
  one_wrong("it is a request of neither layout", connector + offsetof(struct cn_msg, seq), 0);
  packet = region_request();
  memset(packet.bytes + uuid, 0, DM_UUID_LEN);
  malformed("its uuid is empty", &packet);
  memset(packet.bytes + uuid, 'u', DM_UUID_LEN);
  malformed("its uuid has no end", &packet);
  wrong_data(DM_ULOG_CTR, "", 0);
  wrong_data(DM_ULOG_CTR, "", 1);
  wrong_data(DM_ULOG_CTR, "8192 clustered-core\0 1024", 25);
  wrong_data(DM_ULOG_DTR, zeros, 8);
  wrong_data(DM_ULOG_GET_SYNC_COUNT, zeros, 1);
  wrong_data(DM_ULOG_IN_SYNC, zeros, 0);
  wrong_data(DM_ULOG_IS_CLEAN, zeros, 4);
  wrong_data(DM_ULOG_IS_REMOTE_RECOVERING, zeros, 16);
  wrong_data(DM_ULOG_FLUSH, zeros, now.clog ? 8 : 7);
  wrong_data(DM_ULOG_FLUSH, zeros, 33 * 8);
  wrong_data(DM_ULOG_MARK_REGION, zeros, 0);
  wrong_data(DM_ULOG_MARK_REGION, zeros, now.clog ? 16 : 12);
  wrong_data(DM_ULOG_CLEAR_REGION, zeros, 33 * 8);
  wrong_data(DM_ULOG_SET_REGION_SYNC, zeros, 8);
}

int main(void) {
  char longest[DM_UUID_LEN];
  memset(longest, 'L', sizeof(longest) - 1);
  longest[sizeof(longest) - 1] = '\0';
  printf("{\n  \"requests\": [\n");
  separator = "";
  for (uint32_t version = 0; version <= DM_ULOG_REQUEST_VERSION; version++) {
    now.uuid = version == 0 ? longest : "LVM-abc123";
    now.version = version;
    now.luid = 0xff304d91d8afe800 + version;
    every_type();
  }
  retried();
  now.clog = true;
  now.version = 0;
  now.seq = 4;
  every_type();
  retried();
  printf("\n  ],\n  \"malformed\": [\n");
  separator = "";
  every_malformed();
  now.clog = false;
  now.version = 3;
  every_malformed();
  printf("\n  ]\n}\n");
  return 0;
}
