// No datagram makes the receive thread's codec read or write out of bounds, and what it answers to one that it takes is
// what the kernel takes it for. With libFuzzer: clang++ -fsanitize=fuzzer,address,undefined -DCLUSTERLOCK_LIBFUZZER
// -std=c++17 -Icsrc -Itest/native csrc/clog/codec.cc test/fuzz/clog_codec_fuzz.cc. Without it, a driver of its own
// changes the datagrams that it reads in hexadecimal: clog_codec_fuzz ROUNDS SEED <LINES.
#include <cstring>
#include <memory>

#include "clog/abi.h"
#include "clog/codec.h"
#include "rings/check.h"

using namespace clusterlock::clog;  // NOLINT: a test program

namespace {

template <typename T>
T At(const uint8_t* bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes + offset, sizeof(value));
  return value;
}

// drivers/connector/connector.c:cn_rx_skb()
const uint8_t* Connector(const uint8_t* answer, size_t size) {
  const auto netlink = At<nlmsghdr>(answer, 0);
  CHECK(netlink.nlmsg_len == size && netlink.nlmsg_len >= kHeaders);
  const auto connector = At<cn_msg>(answer, kNetlinkHeader);
  CHECK(netlink.nlmsg_len >= kHeaders + connector.len && connector.id.idx == CN_IDX_DM);
  return answer + kNetlinkHeader;
}

struct Fields {
  int32_t error;
  uint32_t seq, type, data_size;
};

// drivers/md/dm-log-userspace-transfer.c:fill_pkg(), of a long answer for which there is so much room.
const uint8_t* Filled(const Request& request, const uint8_t* answer, size_t size, int error, uint32_t room) {
  const uint8_t* const connector = Connector(answer, size);
  const size_t fixed = request.flavour == Flavour::kUlog ? sizeof(dm_ulog_request) : sizeof(dm_clog_request);
  const auto length = At<cn_msg>(connector, 0).len;
  CHECK(length >= fixed);
  const auto fields = At<Fields>(connector, sizeof(cn_msg) + fixed - sizeof(Fields));
  CHECK(fields.seq == request.seq && fields.error == error && fields.type == static_cast<uint32_t>(request.type));
  CHECK(fields.data_size == length - fixed && fields.data_size == room);
  return connector + sizeof(cn_msg) + fixed;
}

void Answer(const Request& request) {
  const auto out = std::make_unique<uint8_t[]>(kDatagramMax);
  Filled(request, out.get(), EncodeDone(request, 0, out.get()), 0, 0);
  Filled(request, out.get(), EncodeDone(request, -5, out.get()), -5, 0);
  const bool ulog = request.flavour == Flavour::kUlog;
  for (const bool yes : {false, true}) {
    const size_t size = EncodeFlag(request, yes, out.get());
    const uint8_t* const data = Filled(request, out.get(), size, 0, ulog ? 8 : 4);
    CHECK(ulog ? At<int64_t>(data, 0) == yes : At<int32_t>(data, 0) == yes);
  }
  const uint8_t* const connector = Connector(out.get(), EncodeAck(request, 11, out.get()));
  const auto header = At<cn_msg>(connector, 0);
  CHECK(header.len == 0 && header.ack == 11 && header.seq == request.seq);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Request request;
  if (Decode(data, size, &request) != nullptr) return 0;
  CHECK(request.uuid.size() > 0 && request.uuid.size() < kUuidSize);
  CHECK(request.payload + request.payload_size <= data + size);
  if (request.type == Type::kFlush || request.type == Type::kMarkRegion || request.type == Type::kClearRegion) {
    CHECK(RegionCount(request) <= 32 && RegionCount(request) * 8 == request.payload_size);
    for (size_t i = 0; i < RegionCount(request); i++) {
      CHECK(RegionAt(request, i) == At<uint64_t>(request.payload, i * 8));
    }
  }
  Answer(request);
  return 1;
}

#ifndef CLUSTERLOCK_LIBFUZZER
#include <algorithm>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

Bytes FromHex(const std::string& line) {
  Bytes out;
  for (size_t i = 0; i + 1 < line.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
  }
  return out;
}

class Mutator {
 public:
  Mutator(std::vector<Bytes> corpus, uint32_t seed) : corpus_(std::move(corpus)), random_(seed) {}

  Bytes Next() {
    Bytes bytes = corpus_[Below(corpus_.size())];
    for (size_t n = Below(4); n > 0; n--) Change(&bytes);
    if (Below(2) == 0) MakeConsistent(&bytes);
    return bytes;
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }

  void Change(Bytes* bytes) {
    static const uint32_t kWords[] = {0, 1, 8, 17, 18, 0x7f, 0xff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff};
    const size_t at = bytes->empty() ? 0 : Below(bytes->size());
    switch (Below(4)) {
      case 0:
        if (at < bytes->size()) (*bytes)[at] ^= static_cast<uint8_t>(1U << Below(8));
        break;
      case 1:
        if (at / 4 * 4 + 4 <= bytes->size()) std::memcpy(bytes->data() + at / 4 * 4, &kWords[Below(11)], 4);
        break;
      case 2:
        bytes->resize(at);
        break;
      default:
        bytes->insert(bytes->begin() + static_cast<ptrdiff_t>(at), Below(40), static_cast<uint8_t>(random_()));
    }
  }

  // Lengths that agree, so that what is behind them is looked at.
  void MakeConsistent(Bytes* bytes) {
    const size_t fixed = Below(2) == 0 ? sizeof(dm_ulog_request) : sizeof(dm_clog_request);
    if (bytes->size() < kHeaders + fixed) return;
    const auto length = static_cast<uint32_t>(bytes->size());
    const auto body = static_cast<uint16_t>(length - kHeaders);
    const auto data = static_cast<uint32_t>(body - fixed);
    std::memcpy(bytes->data(), &length, sizeof(length));
    std::memcpy(bytes->data() + kNetlinkHeader + offsetof(cn_msg, len), &body, sizeof(body));
    std::memcpy(bytes->data() + kHeaders + fixed - sizeof(data), &data, sizeof(data));
  }

  std::vector<Bytes> corpus_;
  std::mt19937 random_;
};

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 3);
  std::vector<Bytes> corpus;
  for (std::string line; std::getline(std::cin, line);) corpus.push_back(FromHex(line));
  CHECK(!corpus.empty());
  Mutator mutator(std::move(corpus), static_cast<uint32_t>(std::stoul(argv[2])));
  uint64_t taken = 0;
  for (uint64_t rounds = std::stoull(argv[1]); rounds > 0; rounds--) {
    const Bytes bytes = mutator.Next();
    // in a heap block of exactly that size
    const auto exact = std::make_unique<uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    taken += static_cast<uint64_t>(LLVMFuzzerTestOneInput(exact.get(), bytes.size()));
  }
  std::cout << taken << std::endl;
  return 0;
}
#endif
