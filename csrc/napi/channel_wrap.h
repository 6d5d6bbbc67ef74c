// dlm::Channel for JavaScript. No logic: requests go down and events go up in batches, each through one buffer.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <vector>

#include "dlm/channel.h"
#include "dlm/control.h"
#include "napi/instance.h"

namespace clusterlock::napi {

class ChannelWrap final : public Napi::ObjectWrap<ChannelWrap>, public Closable {
 public:
  // The constructor function; kept by the addon.
  static Napi::Function Define(Napi::Env env);
  // Throws Napi::Error.
  static Napi::Object New(const Napi::FunctionReference& constructor, std::shared_ptr<Instance> instance,
                          dlm::Opened opened);

  explicit ChannelWrap(const Napi::CallbackInfo& info);
  ~ChannelWrap() override;

  void Teardown() noexcept override;

 private:
  void Start(const Napi::CallbackInfo& info);
  void Submit(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnKernel(int status);
  void OnLocal();
  void Deliver(size_t count, bool closed, int error);

  std::shared_ptr<Instance> instance_;
  std::unique_ptr<dlm::Channel> channel_;
  std::optional<Poll> kernel_poll_;
  std::optional<Poll> local_poll_;
  std::vector<dlm::Event> events_;
  bool closing_ = false;
  std::vector<dlm::Op> ops_;
  uint8_t* records_ = nullptr;
  const uint8_t* requests_ = nullptr;
  Napi::ObjectReference records_owner_;
  Napi::ObjectReference requests_owner_;
  Napi::FunctionReference dispatch_;
};

}  // namespace clusterlock::napi
