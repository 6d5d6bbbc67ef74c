// Random lives of a log's regions against a model, in which the log device is an array of bits and a crash may come at
// any point: whatever it says is clean has to be clean, with its legs flushed.
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "clog/regions.h"
#include "rings/check.h"

using clusterlock::clog::kBitsOffset;
using clusterlock::clog::kPageSize;
using clusterlock::clog::Regions;

namespace {

bool BitOf(const std::vector<uint8_t>& disk, uint64_t region) {
  return ((disk[kBitsOffset + region / 8] >> (region % 8)) & 1) != 0;
}

std::vector<uint8_t> BitsOf(const std::vector<bool>& clean) {
  std::vector<uint8_t> bits((clean.size() + 7) / 8);
  for (size_t i = 0; i < clean.size(); ++i) {
    if (clean[i]) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (1U << (i % 8)));
  }
  return bits;
}

struct Model {
  explicit Model(uint64_t count) : sync(count), marked(count), flushed(count) {}
  std::vector<bool> sync;
  std::vector<bool> marked;
  std::vector<bool> flushed;  // the legs, since it was last marked or out of sync
};

void Life(uint64_t count, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
  Regions regions(count, true, "");
  std::vector<uint8_t> disk((regions.pages() + 1) * kPageSize, 0xff);
  Model model(count);

  std::vector<bool> start(count);
  for (uint64_t i = 0; i < count; ++i) start[i] = below(2) == 0;
  const std::vector<uint8_t> bits = BitsOf(start);
  const uint64_t valid = below(count + 1);
  const bool rest = below(2) == 0;
  regions.Load(bits.data(), bits.size(), valid, rest, nullptr);
  for (uint64_t i = 0; i < count; ++i) {
    model.sync[i] = i < valid ? start[i] : rest;
    model.flushed[i] = model.sync[i];
  }
  bool loaded = false;

  // the page that is being written
  bool writing = false;
  uint32_t page = 0;
  std::array<uint8_t, kPageSize> content{};
  std::vector<uint32_t> to_write;
  bool flushing = false;
  std::vector<bool> flush_covers;
  bool round = false;
  std::vector<bool> round_covers;

  for (int step = 0; step < 3000; ++step) {
    const uint64_t region = below(count);
    switch (below(9)) {
      case 0:
      case 1:
        regions.Mark(region);
        model.marked[region] = true;
        model.flushed[region] = false;
        if (round) round_covers[region] = false;
        break;
      case 2:
        regions.Clear(region);
        model.marked[region] = false;
        break;
      case 3:
        regions.SetSync(region, true);
        model.sync[region] = true;
        break;
      case 4:
        if (below(8) != 0) break;
        regions.SetSync(region, false);
        model.sync[region] = false;
        model.flushed[region] = false;
        if (round) round_covers[region] = false;
        break;
      case 5:  // a flush begins
        if (flushing || !to_write.empty()) break;
        flushing = true;
        flush_covers = model.marked;
        to_write = regions.Pending();
        CHECK(regions.Flushed() == to_write.empty());
        break;
      case 6:  // a page's write begins, or ends, or the flush does
        if (writing) {
          std::memcpy(disk.data() + size_t{page} * kPageSize, content.data(), kPageSize);
          if (below(10) == 0) break;  // durable, and nobody knows yet
          regions.Written(page, content.data());
          writing = false;
        } else if (!to_write.empty()) {
          page = to_write.back();
          to_write.pop_back();
          regions.Page(page, content.data());
          writing = true;
        } else if (flushing) {
          flushing = false;
          loaded = true;
          for (uint64_t i = 0; i < count; ++i) {
            // what was marked before the flush began and is marked still is not clean on disk
            if (flush_covers[i] && model.marked[i]) CHECK(!BitOf(disk, i));
          }
        }
        break;
      case 7: {  // a round of clears begins
        if (round) break;
        round_covers.assign(count, false);
        uint64_t candidates = 0;
        for (uint64_t i = 0; i < count; ++i) {
          round_covers[i] = model.sync[i] && !model.marked[i] && !model.flushed[i];
          candidates += round_covers[i] ? 1 : 0;
        }
        CHECK(regions.BeginClears() == candidates);
        round = candidates != 0;
        break;
      }
      case 8:  // and ends
        if (!round || flushing || writing || !to_write.empty()) break;
        round = false;
        if (below(6) == 0) {
          regions.AbandonClears();
          break;
        }
        for (uint64_t i = 0; i < count; ++i) {
          if (round_covers[i]) model.flushed[i] = true;
        }
        to_write = regions.CommitClears();
        break;
    }
    uint64_t in_sync = 0;
    uint64_t marked = 0;
    for (uint64_t i = 0; i < count; ++i) {
      in_sync += model.sync[i] ? 1 : 0;
      marked += model.marked[i] ? 1 : 0;
    }
    CHECK(regions.Count().in_sync == in_sync && regions.Count().marked == marked);
    CHECK(regions.InSync(region) == model.sync[region]);
    CHECK(regions.IsClean(region) == (model.sync[region] && !model.marked[region]));
    if (!loaded) continue;
    for (uint64_t i = 0; i < count; ++i) {
      // what the device calls clean while nothing of it is pending has its legs flushed
      if (regions.Flushed() && !writing && BitOf(disk, i)) CHECK(model.flushed[i] && model.sync[i] && !model.marked[i]);
    }
  }
}

void Scan() {
  for (const uint64_t count : {1U, 63U, 64U, 65U, 24576U, 24577U, 24576U + 32768U, 60000U}) {
    Regions regions(count, true, "");
    CHECK(regions.pages() == (kBitsOffset + (count + 63) / 64 * 8 + kPageSize - 1) / kPageSize);
    CHECK(regions.NextUnsynced(0) == 0);
    const std::vector<uint8_t> none;
    regions.Load(none.data(), 0, 0, true, nullptr);
    CHECK(regions.NextUnsynced(0) == count && regions.Count().in_sync == count);
    regions.SetSync(count - 1, false);
    CHECK(regions.NextUnsynced(0) == count - 1 && regions.NextUnsynced(count) == count);
    // what is not there
    regions.Mark(count);
    regions.SetSync(count, true);
    CHECK(regions.Count().marked == 0 && !regions.InSync(count) && !regions.IsClean(~uint64_t{0}));
    // nothing beyond the last region is ever clean
    std::array<uint8_t, kPageSize> content{};
    regions.Page(regions.pages() - 1, content.data());
    const uint64_t last = kBitsOffset + (count - 1) / 8 - (regions.pages() - 1) * kPageSize;
    CHECK((content[last] >> (count % 8 == 0 ? 8 : count % 8)) == 0);
  }
}

void Also() {
  Regions old(100, true, "");
  const std::vector<uint8_t> all(16, 0xff);
  old.Load(all.data(), all.size(), 100, false, nullptr);
  old.Mark(3);
  old.SetSync(99, false);
  Regions grown(200, true, "");
  grown.Load(all.data(), all.size(), 100, true, &old);
  CHECK(!grown.InSync(3) && !grown.InSync(99) && grown.InSync(4) && grown.InSync(100) && grown.InSync(199));
  CHECK(grown.Count().in_sync == 198);
  old.Load(all.data(), all.size(), 100, false, &old);
  CHECK(!old.InSync(3) && old.Count().marked == 0);
}

void File() {
  const std::string path = "/tmp/clog_regions_test." + std::to_string(getpid());
  {
    Regions regions(1000, true, path);
    CHECK(!regions.restored());
    const std::vector<uint8_t> all(128, 0xff);
    regions.Load(all.data(), all.size(), 1000, false, nullptr);
    std::array<uint8_t, kPageSize> content{};
    regions.Page(0, content.data());
    regions.Written(0, content.data());
    regions.Mark(7);
  }
  {
    Regions regions(1000, true, path);
    CHECK(regions.restored() && !regions.Flushed() && !regions.IsClean(7) && regions.InSync(7));
    CHECK(regions.Count().in_sync == 1000 && regions.Count().marked == 1 && regions.Count().on_disk == 1000);
  }
  {
    Regions regions(1000, false, path);
    CHECK(!regions.restored() && regions.pages() == 0 && regions.Flushed() && regions.Count().in_sync == 0);
  }
  {
    Regions regions(1001, false, path);
    CHECK(!regions.restored());
  }
  unlink(path.c_str());
}

// For the thread sanitizer: a receive thread and the event loop at once.
void Threads() {
  Regions regions(30000, true, "");
  const std::vector<uint8_t> all(3750, 0xff);
  regions.Load(all.data(), all.size(), 30000, false, nullptr);
  std::thread kernel([&] {
    for (uint64_t i = 0; i < 30000; ++i) {
      regions.Mark(i);
      regions.Flushed();
      regions.InSync(i);
      regions.Clear(i);
    }
  });
  std::array<uint8_t, kPageSize> content{};
  for (int i = 0; i < 50; ++i) {
    for (const uint32_t page : regions.Pending()) {
      regions.Page(page, content.data());
      regions.Written(page, content.data());
    }
    regions.BeginClears();
    regions.CommitClears();
    regions.Count();
    regions.NextUnsynced(0);
  }
  kernel.join();
}

}  // namespace

int main() {
  Scan();
  Also();
  File();
  Threads();
  const char* given = std::getenv("CLUSTERLOCK_SEED");
  const unsigned first = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : 1;
  for (unsigned seed = first; seed < first + 20; ++seed) {
    for (const uint64_t count : {1U, 10U, 65U, 200U}) Life(count, seed);
  }
  Life(24600, first);
  return 0;
}
