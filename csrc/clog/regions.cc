#include "clog/regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "sys/unique_fd.h"

namespace clusterlock::clog {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the words below are the log device's bytes");

constexpr size_t kWordBits = 64;
constexpr size_t kWordBytes = 8;
constexpr size_t kWordsOfPage = kPageSize / kWordBytes;
constexpr size_t kWordsOfFirst = (kPageSize - kBitsOffset) / kWordBytes;

constexpr std::array<char, 8> kMagic{'C', 'L', 'R', 'G', 'N', 'S', '0', '2'};
constexpr size_t kFileHeaderSize = kPageSize;

// drivers/md/dm-log.c, struct log_header_disk
struct DiskHeader {
  uint32_t magic;
  uint32_t version;
  uint64_t regions;
};
constexpr uint32_t kMirrorMagic = 0x4D695272;
constexpr uint32_t kMirrorVersion = 2;

uint64_t Ones(uint64_t word) {
  return static_cast<uint64_t>(__builtin_popcountll(word));
}

[[noreturn]] void Fail(const char* syscall, int error) {
  throw std::system_error(error, std::system_category(), syscall);
}

}  // namespace

// Of the file that a successor finds.
struct Regions::FileHeader {
  std::array<char, 8> magic;
  uint64_t count;
  uint64_t durable;
  uint64_t clears_stopped;
};

Regions::Regions(uint64_t count, bool durable, const std::string& path)
    : count_(count), words_((count + kWordBits - 1) / kWordBits), durable_(durable) {
  Map(path);
  pending_.resize(pages());
  Recount();
  for (size_t page = 0; page < pages(); ++page) Recheck(page);
}

Regions::~Regions() {
  munmap(memory_, size_);
}

void Regions::Map(const std::string& path) {
  size_ = kFileHeaderSize + kPlanes * words_ * kWordBytes;
  const FileHeader fresh{kMagic, count_, durable_ ? 1U : 0U, 0};
  sys::UniqueFd fd;
  if (!path.empty()) {
    fd = sys::UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd.get() < 0) Fail("open", errno);
    struct stat found {};
    if (fstat(fd.get(), &found) != 0) Fail("fstat", errno);
    FileHeader old{};
    restored_ = S_ISREG(found.st_mode) && static_cast<uint64_t>(found.st_size) == size_ &&
                pread(fd.get(), &old, sizeof old, 0) == static_cast<ssize_t>(sizeof old) && old.magic == fresh.magic &&
                old.count == fresh.count && old.durable == fresh.durable;
    if (!restored_ && ftruncate(fd.get(), 0) != 0) Fail("ftruncate", errno);
    // all of it now: a page for which there is no memory later would be a SIGBUS
    const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(size_));
    if (error != 0) Fail("fallocate", error);
  }
  const int flags = path.empty() ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, flags, fd.get(), 0);
  if (memory_ == MAP_FAILED) Fail("mmap", errno);
  bits_ = reinterpret_cast<uint64_t*>(static_cast<uint8_t*>(memory_) + kFileHeaderSize);
  // every write to the mirror needs them; without the right to lock them they may be swapped out
  static_cast<void>(mlock(memory_, size_));
  // the header last: without it, a file that was not finished is made anew
  if (!restored_) std::memcpy(memory_, &fresh, sizeof fresh);
}

size_t Regions::pages() const {
  return durable_ ? (kBitsOffset + words_ * kWordBytes + kPageSize - 1) / kPageSize : 0;
}

size_t Regions::PageOf(uint64_t region) {
  return (kBitsOffset + static_cast<size_t>(region / kWordBits) * kWordBytes) / kPageSize;
}

Regions::Span Regions::WordsOf(size_t page) const {
  const size_t first = page == 0 ? 0 : kWordsOfFirst + (page - 1) * kWordsOfPage;
  const size_t most = page == 0 ? kWordsOfFirst : kWordsOfPage;
  return {first, first >= words_ ? 0 : std::min(most, words_ - first)};
}

// The bits of a word that stand for a region.
uint64_t Regions::Mask(size_t word) const {
  const uint64_t left = count_ - word * kWordBits;
  return left >= kWordBits ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
}

void Regions::Recount() {
  counts_ = {};
  for (size_t word = 0; word < words_; ++word) {
    counts_.in_sync += Ones(plane(kSync)[word]);
    counts_.marked += Ones(plane(kMarked)[word]);
    counts_.on_disk += Ones(plane(kOnDisk)[word]);
  }
}

// Whether it was otherwise.
bool Regions::Put(Plane which, uint64_t region, bool on) {
  uint64_t& word = plane(which)[region / kWordBits];
  const uint64_t bit = uint64_t{1} << (region % kWordBits);
  if (((word & bit) != 0) == on) return false;
  word ^= bit;
  if (which == kSync) counts_.in_sync += on ? 1 : ~uint64_t{0};
  if (which == kMarked) counts_.marked += on ? 1 : ~uint64_t{0};
  return true;
}

// It is no longer in sync and unmarked.
void Regions::Disprove(uint64_t region) {
  const size_t word = region / kWordBits;
  const uint64_t bit = uint64_t{1} << (region % kWordBits);
  if (clearing_) candidates_[word] &= ~bit;
  plane(kProven)[word] &= ~bit;
  if ((plane(kOnDisk)[word] & bit) == 0) return;
  const size_t page = PageOf(region);
  if (!pending_[page]) ++pending_count_;
  pending_[page] = true;
}

void Regions::Recheck(size_t page) {
  const Span span = WordsOf(page);
  bool wrong = false;
  for (size_t word = span.first; word < span.first + span.count; ++word) {
    wrong = wrong || (plane(kOnDisk)[word] & ~plane(kProven)[word]) != 0;
  }
  if (pending_[page] == wrong) return;
  pending_[page] = wrong;
  pending_count_ += wrong ? 1 : ~size_t{0};
}

bool Regions::IsClean(uint64_t region) const {
  const std::lock_guard lock(mutex_);
  return Has(region) && ((CleanWord(region / kWordBits) >> (region % kWordBits)) & 1) != 0;
}

bool Regions::InSync(uint64_t region) const {
  const std::lock_guard lock(mutex_);
  return Has(region) && ((plane(kSync)[region / kWordBits] >> (region % kWordBits)) & 1) != 0;
}

void Regions::Mark(uint64_t region) {
  const std::lock_guard lock(mutex_);
  if (!Has(region)) return;
  Put(kMarked, region, true);
  if (durable_) Disprove(region);
}

void Regions::Clear(uint64_t region) {
  const std::lock_guard lock(mutex_);
  if (Has(region)) Put(kMarked, region, false);
}

void Regions::SetSync(uint64_t region, bool in_sync) {
  const std::lock_guard lock(mutex_);
  if (!Has(region)) return;
  Put(kSync, region, in_sync);
  if (durable_ && !in_sync) Disprove(region);
}

Counts Regions::Count() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

uint64_t Regions::NextUnsynced(uint64_t from) const {
  const std::lock_guard lock(mutex_);
  for (size_t word = from / kWordBits; word < words_; ++word) {
    uint64_t missing = ~plane(kSync)[word] & Mask(word);
    if (word == from / kWordBits) missing &= ~uint64_t{0} << (from % kWordBits);
    if (missing != 0) return word * kWordBits + static_cast<uint64_t>(__builtin_ctzll(missing));
  }
  return count_;
}

void Regions::Load(const uint8_t* bits, size_t size, uint64_t valid, bool rest, const Regions* also) {
  std::vector<uint64_t> limit;
  if (also != nullptr) {
    const std::lock_guard lock(also->mutex_);
    for (size_t word = 0; word < words_ && word < also->words_; ++word) limit.push_back(also->CleanWord(word));
    // of regions that it does not have, it says nothing
    limit.resize(words_, ~uint64_t{0});
    if (also->count_ < count_ && also->count_ % kWordBits != 0)
      limit[also->words_ - 1] |= ~also->Mask(also->words_ - 1);
  }
  const std::lock_guard lock(mutex_);
  for (size_t word = 0; word < words_; ++word) {
    uint64_t value = 0;
    const size_t at = word * kWordBytes;
    if (at < size) std::memcpy(&value, bits + at, std::min(kWordBytes, size - at));
    const uint64_t begin = word * kWordBits;
    const uint64_t known = valid <= begin               ? 0
                           : valid >= begin + kWordBits ? ~uint64_t{0}
                                                        : (uint64_t{1} << (valid - begin)) - 1;
    value = (value & known) | (rest ? ~known : 0);
    if (also != nullptr) value &= limit[word];
    plane(kSync)[word] = value & Mask(word);
    plane(kMarked)[word] = 0;
    plane(kProven)[word] = durable_ ? plane(kSync)[word] : 0;
    // until each page has been written, the log device may say anything
    plane(kOnDisk)[word] = durable_ ? Mask(word) : 0;
  }
  clearing_ = false;
  header()->clears_stopped = 0;
  Recount();
  pending_.assign(pages(), true);
  pending_count_ = pages();
}

bool Regions::Flushed() const {
  const std::lock_guard lock(mutex_);
  return pending_count_ == 0;
}

std::vector<uint32_t> Regions::Pending() const {
  const std::lock_guard lock(mutex_);
  std::vector<uint32_t> found;
  for (size_t page = 0; page < pending_.size(); ++page) {
    if (pending_[page]) found.push_back(static_cast<uint32_t>(page));
  }
  return found;
}

void Regions::Page(size_t page, uint8_t* content) const {
  std::memset(content, 0, kPageSize);
  if (page >= pages()) return;
  size_t at = 0;
  if (page == 0) {
    const DiskHeader header{kMirrorMagic, kMirrorVersion, count_};
    std::memcpy(content, &header, sizeof header);
    at = kBitsOffset;
  }
  const std::lock_guard lock(mutex_);
  const Span span = WordsOf(page);
  for (size_t word = span.first; word < span.first + span.count; ++word, at += kWordBytes) {
    std::memcpy(content + at, plane(kProven) + word, kWordBytes);
  }
}

void Regions::Written(size_t page, const uint8_t* content) {
  if (page >= pages()) return;
  const std::lock_guard lock(mutex_);
  const Span span = WordsOf(page);
  size_t at = page == 0 ? kBitsOffset : 0;
  for (size_t word = span.first; word < span.first + span.count; ++word, at += kWordBytes) {
    uint64_t value = 0;
    std::memcpy(&value, content + at, kWordBytes);
    uint64_t& on_disk = plane(kOnDisk)[word];
    counts_.on_disk -= Ones(on_disk & ~value);
    on_disk &= value;
  }
  Recheck(page);
}

uint64_t Regions::BeginClears() {
  const std::lock_guard lock(mutex_);
  if (!durable_ || header()->clears_stopped != 0) return 0;
  candidates_.assign(words_, 0);
  uint64_t found = 0;
  for (size_t word = 0; word < words_; ++word) {
    candidates_[word] = CleanWord(word) & ~plane(kProven)[word];
    found += Ones(candidates_[word]);
  }
  clearing_ = found != 0;
  return found;
}

std::vector<uint32_t> Regions::CommitClears() {
  const std::lock_guard lock(mutex_);
  std::vector<uint32_t> changed;
  if (!clearing_) return changed;
  clearing_ = false;
  for (size_t page = 0; page < pages(); ++page) {
    const Span span = WordsOf(page);
    uint64_t any = 0;
    for (size_t word = span.first; word < span.first + span.count; ++word) {
      const uint64_t set = candidates_[word];
      plane(kProven)[word] |= set;
      counts_.on_disk += Ones(set & ~plane(kOnDisk)[word]);
      plane(kOnDisk)[word] |= set;
      any |= set;
    }
    if (any != 0) changed.push_back(static_cast<uint32_t>(page));
  }
  return changed;
}

void Regions::AbandonClears() {
  const std::lock_guard lock(mutex_);
  clearing_ = false;
}

void Regions::StopClears() {
  const std::lock_guard lock(mutex_);
  clearing_ = false;
  header()->clears_stopped = 1;
}

bool Regions::ClearsStopped() const {
  const std::lock_guard lock(mutex_);
  return header()->clears_stopped != 0;
}

}  // namespace clusterlock::clog
