// The process goes on as another program.
#pragma once

#include <string>
#include <vector>

namespace clusterlock::sys {

// execve(2) with the signals as a parent would hand them down: none blocked, none ignored, and with the
// standard streams. Other descriptors stay when they have no O_CLOEXEC. Returns only when it fails: -errno, and all is
// as it was; EINVAL for a string with a NUL.
int Execute(const std::string& path, const std::vector<std::string>& argv, const std::vector<std::string>& env);

}  // namespace clusterlock::sys
