// The receive thread's codec, for a test in TypeScript: reads datagrams in hexadecimal, one in a line, and writes for
// each a line of JSON with what it makes of it.
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include "clog/codec.h"
#include "rings/check.h"

using namespace clusterlock::clog;  // NOLINT: a test program

namespace {

std::string Hex(const void* bytes, size_t size) {
  static const char* const kDigits = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < size; i++) {
    const uint8_t byte = static_cast<const uint8_t*>(bytes)[i];
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return '"' + out + '"';
}

bool HasGroup(Type type) {
  return type == Type::kFlush || type == Type::kMarkRegion || type == Type::kClearRegion;
}
bool HasRegion(Type type) {
  return type == Type::kIsClean || type == Type::kInSync || type == Type::kIsRemoteRecovering ||
         type == Type::kSetRegionSync;
}

std::string Regions(const Request& request) {
  const size_t count = HasGroup(request.type) ? RegionCount(request) : HasRegion(request.type) ? 1 : 0;
  std::string out;
  for (size_t i = 0; i < count; i++) out += (i ? ",\"" : "\"") + std::to_string(RegionAt(request, i)) + '"';
  return '[' + out + ']';
}

std::string Answers(const Request& request) {
  // of exactly that size, so that the sanitizer sees any byte written beyond it
  const auto out = std::make_unique<uint8_t[]>(kDatagramMax);
  std::string text = "\"done\":" + Hex(out.get(), EncodeDone(request, 0, out.get()));
  text += ",\"failed\":" + Hex(out.get(), EncodeDone(request, -5, out.get()));
  text += ",\"yes\":" + Hex(out.get(), EncodeFlag(request, true, out.get()));
  text += ",\"no\":" + Hex(out.get(), EncodeFlag(request, false, out.get()));
  text += ",\"again\":" + Hex(out.get(), EncodeAck(request, 11, out.get()));
  return text;
}

std::string Describe(const std::string& line) {
  const size_t size = line.size() / 2;
  // displaced by one byte: nothing is aligned
  const auto exact = std::make_unique<uint8_t[]>(size + 1);
  for (size_t i = 0; i < size; i++) {
    exact[i + 1] = static_cast<uint8_t>(std::stoul(line.substr(i * 2, 2), nullptr, 16));
  }
  Request request;
  if (const char* reason = Decode(exact.get() + 1, size, &request))
    return std::string("{\"reason\":\"") + reason + "\"}";
  CHECK(request.payload >= exact.get() && request.payload + request.payload_size <= exact.get() + 1 + size);
  std::string out = request.flavour == Flavour::kUlog ? "{\"flavour\":\"ulog\"" : "{\"flavour\":\"clog\"";
  out += ",\"uuid\":" + Hex(request.uuid.data(), request.uuid.size());
  out += ",\"luid\":\"" + std::to_string(request.luid) + '"';
  out += ",\"version\":" + std::to_string(request.version) + ",\"seq\":" + std::to_string(request.seq);
  out += ",\"connectorSeq\":" + std::to_string(request.cn_seq);
  out += ",\"type\":" + std::to_string(static_cast<uint32_t>(request.type));
  out += ",\"data\":" + Hex(request.payload, request.payload_size) + ",\"regions\":" + Regions(request);
  return out + "," + Answers(request) + "}";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << Describe(line) << std::endl;
  return 0;
}
