// The wire format: golden bytes of each request, results of every size, and random input.
#include "dlm/codec.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "dlm/lock_dump.h"
#include "rings/check.h"

using namespace clusterlock::dlm;  // NOLINT: a test program

namespace {

template <typename T>
T At(const Request& request, size_t offset) {
  T value;
  std::memcpy(&value, request.bytes.data() + offset, sizeof value);
  return value;
}

void CheckHeader(const Request& request, uint8_t cmd) {
  CHECK(At<uint32_t>(request, 0) == 6 && At<uint32_t>(request, 4) == 0 && At<uint32_t>(request, 8) == 2);
  CHECK(request.bytes[12] == cmd && request.bytes[13] == 1);
}

void NewLock() {
  Op op;
  op.kind = OpKind::kLock;
  op.mode = DLM_LOCK_EX;
  op.bast = true;
  op.flags = DLM_LKF_VALBLK;
  op.cookie = {7, 9};
  op.name_size = 3;
  std::memcpy(op.name.data(), "abc", 3);
  op.lvb.fill(0x5a);
  const Request request = EncodeOp(op, 1234);
  CheckHeader(request, DLM_USER_LOCK);
  CHECK(request.size == 123);
  CHECK(request.bytes[16] == 5 && request.bytes[17] == 3);
  CHECK(At<uint32_t>(request, 20) == DLM_LKF_VALBLK);
  CHECK(At<uint32_t>(request, 24) == 0);  // a new lock has no lkid yet, whatever was passed
  CHECK(At<uint64_t>(request, 48) == ((9ULL << 32) | 7) && At<uint64_t>(request, 64) == ((9ULL << 32) | 7));
  CHECK(At<uint64_t>(request, 56) != 0 && At<uint64_t>(request, 72) != 0 && At<uint64_t>(request, 80) != 0);
  CHECK(At<uint64_t>(request, 56) != At<uint64_t>(request, 72));
  CHECK(request.bytes[88] == 0x5a && request.bytes[119] == 0x5a);
  CHECK(std::memcmp(request.bytes.data() + 120, "abc", 3) == 0);
  op.bast = false;
  CHECK(At<uint64_t>(EncodeOp(op, 0), 72) == 0);
  op.name_size = 64;
  CHECK(EncodeOp(op, 0).size == kRequestMax);
}

void OtherOps() {
  Op op;
  op.cookie = {1, 1};
  op.mode = DLM_LOCK_PR;
  op.kind = OpKind::kConvert;
  Request request = EncodeOp(op, 77);
  CheckHeader(request, DLM_USER_LOCK);
  CHECK(request.size == 120 && At<uint32_t>(request, 24) == 77 && request.bytes[16] == DLM_LOCK_PR);
  CHECK(At<uint32_t>(request, 20) == DLM_LKF_CONVERT);
  op.kind = OpKind::kUnlock;
  request = EncodeOp(op, 77);
  CheckHeader(request, DLM_USER_UNLOCK);
  CHECK(request.size == 120 && At<uint32_t>(request, 20) == 0 && At<uint32_t>(request, 24) == 77);
  op.kind = OpKind::kCancel;
  request = EncodeOp(op, 77);
  CheckHeader(request, DLM_USER_UNLOCK);
  CHECK(At<uint32_t>(request, 20) == DLM_LKF_CANCEL);
}

void Lockspaces() {
  const std::string name(64, 'n');
  const Request create = EncodeCreate(name);
  CheckHeader(create, DLM_USER_CREATE_LOCKSPACE);
  CHECK(create.size == 120 && At<uint32_t>(create, 16) == DLM_LSFL_NEWEXCL);
  CHECK(std::memcmp(create.bytes.data() + 24, name.data(), 64) == 0 && create.bytes[88] == 0);
  const Request remove = EncodeRemove(121, false);
  CheckHeader(remove, DLM_USER_REMOVE_LOCKSPACE);
  CHECK(At<uint32_t>(remove, 16) == 0 && At<uint32_t>(remove, 20) == 121);
  CHECK(At<uint32_t>(EncodeRemove(121, true), 16) == 2);
}

void Results() {
  uint8_t bytes[104] = {};
  const auto put = [&](size_t offset, auto value) { std::memcpy(bytes + offset, &value, sizeof value); };
  put(16, uint64_t{1});
  put(24, (uint64_t{9} << 32) | 7);
  put(40, int32_t{-11});
  put(44, uint32_t{0xfffffffe});
  bytes[48] = 2;
  auto result = DecodeResult(bytes, 72);
  CHECK(result && !result->bast && result->status == -11 && result->lkid == 0xfffffffe && result->sb_flags == 2);
  CHECK(result->cookie.slot == 7 && result->cookie.generation == 9 && !result->has_lvb);
  bytes[64] = 5;
  result = DecodeResult(bytes, 72);
  CHECK(result && result->bast && result->bast_mode == 5);
  bytes[64] = 0;
  std::memset(bytes + 72, 0x33, 32);
  CHECK(!DecodeResult(bytes, 104)->has_lvb);  // no offset, no value
  put(68, uint32_t{72});
  result = DecodeResult(bytes, 104);
  CHECK(result->has_lvb && result->lvb[0] == 0x33 && result->lvb[31] == 0x33);
  for (size_t size = 0; size <= 104; ++size)
    CHECK(DecodeResult(bytes, size).has_value() == (size == 72 || size == 104));
  put(16, uint64_t{0});
  CHECK(!DecodeResult(bytes, 72));  // a cast has an address
  bytes[64] = 5;
  result = DecodeResult(bytes, 72);  // a BAST may have lost it
  CHECK(result && result->bast && result->bast_mode == 5 && result->cookie.slot == 7);
}

void Versions() {
  const uint32_t words[3] = {6, 0, 2};
  const auto* bytes = reinterpret_cast<const uint8_t*>(words);
  const auto version = DecodeVersion(bytes, 12);
  CHECK(version && version->major == 6 && version->patch == 2 && version->Compatible());
  CHECK(!DecodeVersion(bytes, 11));
  const uint32_t newer[3] = {7, 0, 0};
  CHECK(!DecodeVersion(reinterpret_cast<const uint8_t*>(newer), 12)->Compatible());
}

// As seen on 6.1: a lock of node 2 on a resource mastered here, one of our own mastered here, one mastered by node 2.
void Dumps() {
  const std::string header = "id nodeid remid pid xid exflags flags sts grmode rqmode time_ms r_nodeid r_len r_name\n";
  const std::string anothers = "1c0 2 9 0 0 0 10000 2 0 -1 4110873 0 4 \"cues\"\n";
  const std::string own = "1 0 0 135 192 4 1 2 0 -1 14983 0 2 \"lv\"\n";
  const std::string remote = "2 2 3 135 0 0 1 2 5 -1 14983 2 2 \"rm\"\n";
  CHECK(CountOwnLocks("") == 0 && CountOwnLocks(header) == 0);
  CHECK(CountOwnLocks(header + anothers) == 0);
  CHECK(CountOwnLocks(header + anothers + own + remote) == 2);
  CHECK(CountOwnLocks(header + own + "broken\" name\"\n") == 1);
}

// Exactly sized heap blocks, so that the sanitizer sees any byte read beyond them.
void Noise() {
  std::mt19937 random(20261121);
  for (int round = 0; round < 200'000; ++round) {
    const size_t size = random() % 129;
    const auto bytes = std::make_unique<uint8_t[]>(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(random());
    DecodeResult(bytes.get(), size);
    DecodeVersion(bytes.get(), size);
  }
}

}  // namespace

int main() {
  NewLock();
  OtherOps();
  Lockspaces();
  Results();
  Versions();
  Dumps();
  Noise();
  return 0;
}
