// The cluster's name while it is away: it comes back whoever is killed.
#include "dlmfs/cluster_name.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "rings/check.h"

using namespace clusterlock;  // NOLINT: a test program
using clusterlock::dlmfs::BlankedName;

namespace {

std::string g_place;

std::string At(const char* name) {
  return g_place + "/" + name;
}

std::string Read(const std::string& path) {
  const sys::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> bytes{};
  const ssize_t size = ::read(file.get(), bytes.data(), bytes.size());
  CHECK(size >= 0);
  return {bytes.data(), static_cast<size_t>(size)};
}

void Write(const std::string& path, const std::string& text) {
  const sys::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  CHECK(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

sys::UniqueFd LockFile() {
  sys::UniqueFd file(::open(At("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  CHECK(file.valid());
  return file;
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
    reads = sys::UniqueFd(ends[0]);
    writes = sys::UniqueFd(ends[1]);
  }
  sys::UniqueFd reads, writes;
};

const std::string kBlank("\0", 1);

void ComesBack() {
  const Pipe pulse;
  for (const char* text : {"lab\n", "lab", "a b"}) {
    Write(At("name"), text);
    const sys::UniqueFd lock = LockFile();
    const std::string name = std::string(text).substr(0, 3);
    {
      BlankedName blanked(lock.get(), At("name"), pulse.reads.get());
      CHECK(blanked.error() == 0);
      CHECK(Read(At("name")) == kBlank && Read(At("lock")) == name);
    }
    CHECK(Read(At("name")) == name && Read(At("lock")).empty());
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no guardian is left
  }
}

void IsLeftAloneWhenThereIsNone() {
  const Pipe pulse;
  for (const std::string& text : {std::string("\n"), kBlank, std::string()}) {
    Write(At("name"), text);
    const sys::UniqueFd lock = LockFile();
    { const BlankedName blanked(lock.get(), At("name"), pulse.reads.get()); }
    CHECK(Read(At("name")) == text);
  }
}

void SaysWhatFailed() {
  const Pipe pulse;
  const sys::UniqueFd lock = LockFile();
  const BlankedName absent(lock.get(), At("absent"), pulse.reads.get());
  CHECK(absent.error() == ENOENT && std::string(absent.syscall()) == "open");
  CHECK(Read(At("lock")).empty());
}

// A child blanks the name and is killed, while something keeps its guardian's pipe open, as a thread in the kernel does
// when `pinned`: the pulse tells then.
void ComesBackWhenKilled(bool pinned) {
  Write(At("name"), "lab\n");
  const Pipe ready, pin;
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    std::optional<Pipe> pulse(std::in_place);
    const sys::UniqueFd lock = LockFile();
    CHECK(::flock(lock.get(), LOCK_EX) == 0);
    const BlankedName blanked(lock.get(), At("name"), pulse->reads.get());
    CHECK(blanked.error() == 0 && Read(At("name")) == kBlank);
    if (pinned && ::fork() == 0) {
      // has all of the child's descriptors but the pulse
      pulse->writes.Close();
      char byte = 0;
      [[maybe_unused]] const ssize_t ignored = ::read(pin.reads.get(), &byte, 1);
      ::_exit(0);
    }
    CHECK(::write(ready.writes.get(), "x", 1) == 1);
    ::pause();
  }
  char byte = 0;
  CHECK(::read(ready.reads.get(), &byte, 1) == 1);
  CHECK(::kill(child, SIGKILL) == 0 && ::waitpid(child, nullptr, 0) == child);
  for (int tries = 0; Read(At("lock")).size() != 0 && tries < 1000; ++tries) ::usleep(2000);
  CHECK(Read(At("name")) == "lab" && Read(At("lock")).empty());
  CHECK(::write(pin.writes.get(), "x", 1) == 1);
  // and the turn is free again
  const sys::UniqueFd lock = LockFile();
  CHECK(::flock(lock.get(), LOCK_EX) == 0);
}

// The guardian too: the next one finds the name in the file.
void IsFoundByTheNext() {
  const Pipe pulse;
  Write(At("name"), kBlank);
  Write(At("lock"), "lab");
  const sys::UniqueFd lock = LockFile();
  {
    const BlankedName blanked(lock.get(), At("name"), pulse.reads.get());
    CHECK(blanked.error() == 0 && Read(At("lock")) == "lab");
  }
  CHECK(Read(At("name")) == "lab" && Read(At("lock")).empty());
  Write(At("lock"), "old");
  const dlmfs::Restored restored = dlmfs::RestoreName(lock.get(), At("name").c_str());
  CHECK(restored.error == 0 && !restored.did && Read(At("name")) == "lab" && Read(At("lock")).empty());
  Write(At("lock"), "old");
  const dlmfs::Restored absent = dlmfs::RestoreName(lock.get(), At("absent").c_str());
  CHECK(absent.error == 0 && !absent.did && Read(At("lock")).empty());
}

}  // namespace

int main() {
  std::string place = "/tmp/clusterlock-name-XXXXXX";
  CHECK(::mkdtemp(place.data()) != nullptr);
  g_place = place;
  ComesBack();
  IsLeftAloneWhenThereIsNone();
  SaysWhatFailed();
  ComesBackWhenKilled(false);
  ComesBackWhenKilled(true);
  IsFoundByTheNext();
  for (const char* name : {"name", "lock"}) ::unlink(At(name).c_str());
  ::rmdir(place.c_str());
  return 0;
}
