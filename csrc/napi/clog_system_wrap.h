// What the cluster log needs of the system beside its socket: block devices, device-mapper's tables, and calls that the
// process makes about itself.
#pragma once

#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "clog/block_device.h"
#include "clog/dm_tables.h"
#include "napi/instance.h"
#include "sys/mailbox.h"

namespace clusterlock::napi {

void DefineClogSystem(Napi::Env env, Napi::Object exports, std::shared_ptr<Instance> instance);

// Calls that end on threads of ours, one mailbox for all of them. While there is one, the process stays alive.
class ClogSystem final : public Closable {
 public:
  struct Done {
    uint32_t call = 0;
    clog::BlockResult block;
    clog::DmDevices dm;
  };
  using Inbox = sys::Mailbox<Done>;
  // Makes the callback's arguments.
  using Arguments = std::function<std::vector<napi_value>(Napi::Env env, Done done)>;

  explicit ClogSystem(std::shared_ptr<Instance> instance) : instance_(std::move(instance)) {}
  ~ClogSystem() override;

  // A call that ends when a Done with its number is posted to inbox(). `owner` is kept until then. `callback` may be
  // undefined. Throws Napi::Error.
  uint32_t Begin(const Napi::Value& callback, const Napi::Object& owner, Arguments arguments);
  const std::shared_ptr<Inbox>& inbox() const { return inbox_; }
  const std::shared_ptr<Instance>& instance() const { return instance_; }

  void Teardown() noexcept override;

 private:
  struct Call {
    Napi::FunctionReference callback;
    Napi::ObjectReference owner;
    Arguments arguments;
  };

  void OnMail();
  void Finish(Done done);

  std::shared_ptr<Instance> instance_;
  std::shared_ptr<Inbox> inbox_;  // since the first call
  std::optional<Poll> poll_;
  std::map<uint32_t, Call> calls_;
  uint32_t next_call_ = 0;
  bool ended_ = false;
};

}  // namespace clusterlock::napi
