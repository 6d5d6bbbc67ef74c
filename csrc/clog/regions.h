// What a dirty log knows of its regions: four bits for each, in memory that the event loop and a receive thread share,
// and that may be a file, so that a successor of this process finds it as it was.
//
//   in sync   the legs are equal, but for what is being written
//   marked    the kernel has marked it and not cleared it: writes may be under way
//   proven    it is in sync and not marked, and the legs' caches have been flushed since it became so
//   on disk   the log device may say "clean": it does, or a write that says so was begun
//
// The log device's bits are drivers/md/dm-log.c's: region r is bit r%8 of byte 1024+r/8, 1 is clean. What it should say
// is what is proven. Saying less is always safe, so bits are set there late (a round of clears) and taken away early (a
// flush, before the kernel writes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace clusterlock::clog {

constexpr size_t kPageSize = 4096;    // what is written of a log device at a time
constexpr size_t kBitsOffset = 1024;  // LOG_OFFSET sectors

struct Counts {
  uint64_t in_sync = 0;
  uint64_t marked = 0;
  uint64_t on_disk = 0;
};

// Each call holds the lock for a moment. Regions that are not there are ignored, and are neither clean nor in sync.
class Regions {
 public:
  // Without a path, memory of this process alone. Throws std::system_error whose code is of the system category and
  // whose what() begins with the system call.
  Regions(uint64_t count, bool durable, const std::string& path);
  ~Regions();
  Regions(const Regions&) = delete;
  Regions& operator=(const Regions&) = delete;

  uint64_t count() const { return count_; }
  bool durable() const { return durable_; }
  // The file was there, for the same number of regions.
  bool restored() const { return restored_; }
  size_t pages() const;

  bool IsClean(uint64_t region) const;
  bool InSync(uint64_t region) const;
  void Mark(uint64_t region);
  void Clear(uint64_t region);
  void SetSync(uint64_t region, bool in_sync);
  Counts Count() const;
  // `count()` when there is none.
  uint64_t NextUnsynced(uint64_t from) const;

  // In sync is what `bits` says (LSB first; missing bytes are 0), and `rest` from region `valid` on; with `also`, only
  // what is in sync and not marked there, which may be this object. Nothing is marked afterwards, and every page is
  // pending.
  void Load(const uint8_t* bits, size_t size, uint64_t valid, bool rest, const Regions* also);

  // Whether no page is pending.
  bool Flushed() const;
  // Pages on which the log device may call a region clean that is not proven.
  std::vector<uint32_t> Pending() const;
  // What is to be written of a page now.
  void Page(size_t page, uint8_t* content) const;
  // `content`, which Page() gave, is durable. At most one write of a page at a time.
  void Written(size_t page, const uint8_t* content);

  // A round of clears: from Begin to Commit or Abandon. Between Begin and Commit the legs' caches are flushed; a region
  // that is marked meanwhile, be it cleared again, is left out.
  uint64_t BeginClears();
  std::vector<uint32_t> CommitClears();
  void AbandonClears();
  // The legs did not flush, and what was in their caches may be lost for ever: no more rounds before the next Load(),
  // in this process or its successor.
  void StopClears();
  bool ClearsStopped() const;

 private:
  enum Plane : size_t { kSync, kMarked, kProven, kOnDisk, kPlanes };

  void Map(const std::string& path);
  uint64_t* plane(Plane which) const { return bits_ + which * words_; }
  bool Has(uint64_t region) const { return region < count_; }
  bool Put(Plane which, uint64_t region, bool on);
  void Disprove(uint64_t region);
  uint64_t CleanWord(size_t word) const { return plane(kSync)[word] & ~plane(kMarked)[word]; }
  uint64_t Mask(size_t word) const;
  void Recount();
  void Recheck(size_t page);
  struct Span {
    size_t first;
    size_t count;
  };
  Span WordsOf(size_t page) const;
  static size_t PageOf(uint64_t region);

  const uint64_t count_;
  const size_t words_;
  const bool durable_;
  bool restored_ = false;
  struct FileHeader;
  FileHeader* header() const { return static_cast<FileHeader*>(memory_); }
  void* memory_ = nullptr;
  size_t size_ = 0;
  uint64_t* bits_ = nullptr;

  mutable std::mutex mutex_;
  Counts counts_;
  std::vector<bool> pending_;
  size_t pending_count_ = 0;
  bool clearing_ = false;
  std::vector<uint64_t> candidates_;
};

}  // namespace clusterlock::clog
