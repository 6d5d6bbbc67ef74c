#include "dlm/lone_write.h"

#include <cerrno>
#include <future>
#include <memory>
#include <system_error>

#include "sys/thread.h"

namespace clusterlock::dlm {

ssize_t LoneWrite(const DeviceFd& device, const Request& request) {
  const auto result = std::make_shared<std::promise<ssize_t>>();
  std::future<ssize_t> done = result->get_future();
  try {
    sys::Detach([result, request, &ops = device.ops(), fd = device.get()] {
      ops.Isolate({fd});
      result->set_value(ops.Write(fd, request.bytes.data(), request.size));
    });
  } catch (const std::system_error&) {
    return -EAGAIN;
  }
  return done.get();
}

}  // namespace clusterlock::dlm
