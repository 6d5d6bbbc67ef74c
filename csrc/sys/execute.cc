#include "sys/execute.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace clusterlock::sys {
namespace {

bool HasNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

// execve() does not write to them.
std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));  // NOLINT
  out.push_back(nullptr);
  return out;
}

}  // namespace

int Execute(const std::string& path, const std::vector<std::string>& argv, const std::vector<std::string>& env) {
  if (HasNul(path) || std::any_of(argv.begin(), argv.end(), HasNul) || std::any_of(env.begin(), env.end(), HasNul)) {
    return -EINVAL;
  }
  const std::vector<char*> arguments = Pointers(argv);
  const std::vector<char*> variables = Pointers(env);

  // Node has set O_CLOEXEC on all that it inherited.
  constexpr std::array<int, 3> kStandard{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  std::array<int, kStandard.size()> flags{};
  // Handlers go by themselves; Node ignores these two, and that would stay.
  constexpr std::array<int, 2> kIgnored{SIGPIPE, SIGXFSZ};
  std::array<struct sigaction, kIgnored.size()> actions{};
  struct sigaction fallback {};
  fallback.sa_handler = SIG_DFL;
  sigset_t none, mask;
  sigemptyset(&none);
  for (size_t i = 0; i < kStandard.size(); ++i) {
    flags[i] = ::fcntl(kStandard[i], F_GETFD);
    if (flags[i] >= 0) ::fcntl(kStandard[i], F_SETFD, flags[i] & ~FD_CLOEXEC);
  }
  for (size_t i = 0; i < kIgnored.size(); ++i) ::sigaction(kIgnored[i], &fallback, &actions[i]);
  ::pthread_sigmask(SIG_SETMASK, &none, &mask);

  ::execve(path.c_str(), arguments.data(), variables.data());

  const int error = -errno;
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  for (size_t i = 0; i < kIgnored.size(); ++i) ::sigaction(kIgnored[i], &actions[i], nullptr);
  for (size_t i = 0; i < kStandard.size(); ++i) {
    if (flags[i] >= 0) ::fcntl(kStandard[i], F_SETFD, flags[i]);
  }
  return error;
}

}  // namespace clusterlock::sys
