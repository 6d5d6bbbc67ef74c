#include "dlm/uevent.h"

namespace clusterlock::dlm {
namespace {

// The next word of `rest`, which has to end with a NUL: a name that is cut off is another lockspace's name.
std::optional<std::string_view> TakeWord(std::string_view* rest) {
  const size_t end = rest->find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view word = rest->substr(0, end);
  rest->remove_prefix(end + 1);
  return word;
}

}  // namespace

std::optional<Uevent> ParseUevent(std::string_view message) {
  const auto head = TakeWord(&message);
  if (!head) return std::nullopt;
  const size_t at = head->find('@');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  std::optional<std::string_view> subsystem, lockspace;
  while (!message.empty()) {
    const auto word = TakeWord(&message);
    if (!word) return std::nullopt;
    const size_t equals = word->find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = word->substr(0, equals);
    const std::string_view value = word->substr(equals + 1);
    if (key == "SUBSYSTEM" && !subsystem) subsystem = value;
    if (key == "LOCKSPACE" && !lockspace) lockspace = value;
  }
  if (subsystem != "dlm" || !lockspace || lockspace->empty()) return std::nullopt;
  return Uevent{std::string(head->substr(0, at)), std::string(*lockspace), std::string(head->substr(at + 1))};
}

}  // namespace clusterlock::dlm
