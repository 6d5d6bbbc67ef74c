// NativeLogSocket of lib/native.ts.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "clog/receiver.h"
#include "napi/instance.h"

namespace clusterlock::napi {

class LogSocketWrap final : public Napi::ObjectWrap<LogSocketWrap>, public Closable {
 public:
  // Puts openLogSocket and openRegions into `exports`.
  static void Export(Napi::Env env, Napi::Object exports, const std::shared_ptr<Instance>& instance);
  explicit LogSocketWrap(const Napi::CallbackInfo& info);
  ~LogSocketWrap() override;

 private:
  struct Classes;
  struct New;

  void Teardown() noexcept override;
  void OnReceiver();
  Napi::Value Reply(const Napi::CallbackInfo& info);
  void Attach(const Napi::CallbackInfo& info);
  void Detach(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Classes> classes_;
  std::shared_ptr<Instance> instance_;
  std::unique_ptr<clog::Receiver> receiver_;
  std::optional<Poll> poll_;
  Napi::FunctionReference on_requests_;
  Napi::FunctionReference on_trouble_;
  Napi::FunctionReference on_closed_;
  bool closing_ = false;
};

}  // namespace clusterlock::napi
