// What Node and an opener say to each other: there and back, cut short, and random; and the bytes of a sidecar.
#include <cstring>
#include <memory>
#include <random>
#include <set>

#include "dlmfs/packet.h"
#include "dlmfs/range.h"
#include "rings/check.h"

using namespace clusterlock::dlmfs;  // NOLINT: a test program

namespace {

using Bytes = std::vector<uint8_t>;

// In a heap block of exactly that size, so that the sanitizer sees any byte read beyond it.
std::optional<Request> AsRequest(const Bytes& bytes, size_t size) {
  const auto exact = std::make_unique<uint8_t[]>(size);
  std::memcpy(exact.get(), bytes.data(), size);
  return DecodeRequest(exact.get(), size);
}
std::optional<Reply> AsReply(const Bytes& bytes, size_t size) {
  const auto exact = std::make_unique<uint8_t[]>(size);
  std::memcpy(exact.get(), bytes.data(), size);
  return DecodeReply(exact.get(), size);
}

Request FullRequest() {
  Request out;
  out.id = 0xfedcba98;
  out.op = Op::kCancel;
  out.range = RangeType::kExclusive;
  out.flags = -2;
  out.mode = 07777;
  out.uid = 1;
  out.gid = kLeave;
  out.path = std::string(kTextMax, 'p');
  out.name = "name";
  out.sidecar_path = "/run/sidecar";
  out.name_path = "";
  out.name_lock_path = std::string("a\0b", 3);
  return out;
}

Reply FullReply() {
  Reply out;
  out.id = 7;
  out.kind = ReplyKind::kPart;
  out.error = 512;  // the kernel lets ERESTARTSYS out of a mkdir
  out.syscall = "mkdir";
  out.file = true;
  out.value = -1;
  out.stat = FileStat{~0ULL, 1, 2, 3, 4};
  out.names = {"", "one", std::string(255, 'x')};
  out.status = {{1, Phase::kKernel, 77, ~0ULL}, {2, Phase::kLocal, 78, 0}};
  return out;
}

void Requests() {
  const Request in = FullRequest();
  const Bytes bytes = Encode(in);
  CHECK(bytes.size() < kPacketMax);
  const auto out = AsRequest(bytes, bytes.size());
  CHECK(out && out->id == in.id && out->op == in.op && out->range == in.range && out->flags == in.flags);
  CHECK(out->mode == in.mode && out->uid == in.uid && out->gid == in.gid);
  CHECK(out->path == in.path && out->name == in.name && out->sidecar_path == in.sidecar_path);
  CHECK(out->name_path.empty() && out->name_lock_path == in.name_lock_path);
  for (size_t size = 0; size < bytes.size(); ++size) CHECK(!AsRequest(bytes, size));
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK(!AsRequest(longer, longer.size()));
  Bytes wrong = bytes;
  wrong[4] = kOps;
  CHECK(!AsRequest(wrong, wrong.size()));
  Request endless = in;
  endless.path += 'p';
  const Bytes too_long = Encode(endless);
  CHECK(!AsRequest(too_long, too_long.size()));
}

void Replies() {
  const Reply in = FullReply();
  const Bytes bytes = Encode(in);
  const auto out = AsReply(bytes, bytes.size());
  CHECK(out && out->id == in.id && out->kind == in.kind && out->error == in.error && out->syscall == in.syscall);
  CHECK(out->file && out->value == -1 && out->stat && out->stat->dev == ~0ULL && out->stat->gid == 4);
  CHECK(out->names == in.names && out->status.size() == 2);
  CHECK(out->status[0].tid == 77 && out->status[0].phase == Phase::kKernel && out->status[0].ms == ~0ULL);
  for (size_t size = 0; size < bytes.size(); ++size) CHECK(!AsReply(bytes, size));
  const Bytes plain = Encode(Reply{});
  const auto empty = AsReply(plain, plain.size());
  CHECK(empty && !empty->stat && !empty->file && empty->names.empty() && empty->status.empty());
  // a packet that says that it has four thousand million names
  Bytes greedy = plain;
  std::memset(greedy.data() + greedy.size() - 8, 0xff, 4);
  CHECK(!AsReply(greedy, greedy.size()));
}

void Noise() {
  std::mt19937 random(20261121);
  const Bytes request = Encode(FullRequest());
  const Bytes reply = Encode(FullReply());
  for (int round = 0; round < 100'000; ++round) {
    Bytes bytes = round % 2 == 0 ? reply : Bytes(request.begin(), request.begin() + 40);
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    const size_t size = random() % (bytes.size() + 1);
    AsRequest(bytes, size);
    AsReply(bytes, size);
  }
}

void Ranges() {
  std::set<int64_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const std::string name = std::to_string(i);
    const int64_t first = ByteOf(name, RangeKind::kExclusion);
    CHECK(first >= 0 && first % 4 == 0);
    CHECK(ByteOf(name, RangeKind::kPending) == first + 1 && ByteOf(name, RangeKind::kUsers) == first + 2);
    CHECK(seen.insert(first).second);
  }
  // processes of two versions of the library have to meet
  CHECK(ByteOf("", RangeKind::kExclusion) == ((0xcbf29ce484222325 ^ 6) & 0x1fffffffffffffff) * 4);
  CHECK(ByteOf("lock", RangeKind::kUsers) == ByteOf("lock", RangeKind::kExclusion) + 2);
  CHECK(ByteOf("\xff", RangeKind::kExclusion) != ByteOf("\x7f", RangeKind::kExclusion));
}

}  // namespace

int main() {
  Requests();
  Replies();
  Noise();
  Ranges();
  return 0;
}
