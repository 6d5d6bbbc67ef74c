// The tables of all device-mapper devices.
#pragma once

#include <string>
#include <vector>

#include "clog/dm_answer.h"

namespace clusterlock::clog {

struct DmDevice {
  DmStatus live;  // with the table in use
  std::vector<DmTarget> inactive;
};

struct DmDevices {
  int error = 0;  // or -errno. ENOENT: there is no /dev/mapper/control; ENODEV: and none that udev could make
  const char* syscall = "";
  std::vector<DmDevice> devices;
};

// For a thread that may wait for a moment. Asks no target for its status, so that nothing here can wait for a log.
DmDevices ListDmDevices();

}  // namespace clusterlock::clog
