// openLockspace() and removeLockspace() for JavaScript: each call runs on a thread of its own and ends in a callback.
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <optional>

#include "dlm/control.h"
#include "napi/instance.h"
#include "sys/mailbox.h"

namespace clusterlock::napi {

class ControlWrap final : public Closable {
 public:
  ControlWrap(Napi::Env env, std::shared_ptr<Instance> instance, Napi::Function channel_constructor);
  ~ControlWrap() override;

  Napi::Value OpenLockspace(const Napi::CallbackInfo& info);
  Napi::Value RemoveLockspace(const Napi::CallbackInfo& info);

  void Teardown() noexcept override;

 private:
  struct Done {
    uint32_t call = 0;
    bool opens = false;
    dlm::Opened result;
  };
  using Inbox = sys::Mailbox<Done>;

  uint32_t Begin(Napi::Env env, const Napi::Value& callback);
  void OnMail();
  void Finish(Done done);

  Napi::Env env_;
  std::shared_ptr<Instance> instance_;
  Napi::FunctionReference channel_constructor_;
  std::shared_ptr<Inbox> inbox_;
  std::optional<Poll> poll_;
  std::map<uint32_t, Napi::FunctionReference> calls_;
  uint32_t next_call_ = 0;
};

}  // namespace clusterlock::napi
