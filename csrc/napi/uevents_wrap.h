// sys::Uevents for JavaScript: batches go up to a callback.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "napi/instance.h"
#include "sys/uevents.h"

namespace clusterlock::napi {

class UeventsWrap final : public Napi::ObjectWrap<UeventsWrap>, public Closable {
 public:
  // The function watchUevents(callback: (events, overflowed) => void): { setRef(on), close() }
  static Napi::Function Watch(Napi::Env env, std::shared_ptr<Instance> instance);

  explicit UeventsWrap(const Napi::CallbackInfo& info);
  ~UeventsWrap() override;

  void Teardown() noexcept override;

 private:
  void SetRef(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void OnKernel(int status);

  std::shared_ptr<Instance> instance_;
  std::unique_ptr<sys::Uevents> uevents_;
  std::optional<Poll> poll_;  // after the socket: its end comes first
  Napi::FunctionReference callback_;
};

}  // namespace clusterlock::napi
