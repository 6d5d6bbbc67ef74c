// The kernel's messages about the lives of lockspaces. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace clusterlock::dlm {

struct Uevent {
  std::string action;  // add, online, offline, remove
  std::string lockspace;
  std::string devpath;  // below /sys; a '/' in the lockspace's name is a '!' here
};

// What `message` (ACTION@DEVPATH, then KEY=VALUE, each ended by a NUL; lib/kobject_uevent.c) says about a lockspace.
// Nothing when it is about something else, is cut off, or is no such message.
std::optional<Uevent> ParseUevent(std::string_view message);

}  // namespace clusterlock::dlm
