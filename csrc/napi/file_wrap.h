// A descriptor for JavaScript: a lock file, whose descriptor is the lock, or a sidecar. No call waits.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "napi/instance.h"
#include "sys/unique_fd.h"

namespace clusterlock::napi {

class FileWrap final : public Napi::ObjectWrap<FileWrap>, public Closable {
 public:
  // The constructor function; kept by the addon.
  static Napi::Function Define(Napi::Env env);
  // Throws Napi::Error; the descriptor is closed then.
  static Napi::Object New(const Napi::FunctionReference& constructor, std::shared_ptr<Instance> instance,
                          sys::UniqueFd fd);
  // The descriptor of such an object, shared: it closes when nobody needs it any more. Nothing once it was closed.
  // Throws Napi::TypeError for any other value.
  static std::shared_ptr<sys::UniqueFd> Share(const Napi::FunctionReference& constructor, const Napi::Value& value);

  explicit FileWrap(const Napi::CallbackInfo& info);
  ~FileWrap() override;

  void Teardown() noexcept override;

 private:
  Napi::Value Number(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Readable(const Napi::CallbackInfo& info);
  void Watch(const Napi::CallbackInfo& info);
  void Unwatch(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  Napi::Value Range(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  int fd() const { return fd_ ? fd_->get() : -1; }
  void StopWatching() noexcept;
  void OnReadable();

  std::shared_ptr<Instance> instance_;
  std::shared_ptr<sys::UniqueFd> fd_;
  std::optional<Poll> poll_;  // after the descriptor: its end comes first
  Napi::FunctionReference callback_;
  bool keeps_alive_ = false;
};

}  // namespace clusterlock::napi
