// NativeRegions of lib/native.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "clog/regions.h"

namespace clusterlock::napi {

class RegionsWrap final : public Napi::ObjectWrap<RegionsWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // openRegions(count, durable, path?)
  static Napi::Value Open(const Napi::FunctionReference& constructor, const Napi::CallbackInfo& info);
  // Of an object of this class; throws a TypeError otherwise, or when it is closed.
  static std::shared_ptr<clog::Regions> Share(const Napi::FunctionReference& constructor, const Napi::Value& value);
  explicit RegionsWrap(const Napi::CallbackInfo& info);

 private:
  clog::Regions& regions();
  uint64_t RegionOf(const Napi::Value& value);

  Napi::Value IsClean(const Napi::CallbackInfo& info);
  Napi::Value InSync(const Napi::CallbackInfo& info);
  void Mark(const Napi::CallbackInfo& info);
  void Clear(const Napi::CallbackInfo& info);
  void SetSync(const Napi::CallbackInfo& info);
  Napi::Value Counts(const Napi::CallbackInfo& info);
  Napi::Value NextUnsynced(const Napi::CallbackInfo& info);
  void Load(const Napi::CallbackInfo& info);
  Napi::Value Pending(const Napi::CallbackInfo& info);
  void Page(const Napi::CallbackInfo& info);
  void Written(const Napi::CallbackInfo& info);
  Napi::Value BeginClears(const Napi::CallbackInfo& info);
  Napi::Value CommitClears(const Napi::CallbackInfo& info);
  void AbandonClears(const Napi::CallbackInfo& info);
  void StopClears(const Napi::CallbackInfo& info);
  Napi::Value ClearsStopped(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<clog::Regions> regions_;
};

}  // namespace clusterlock::napi
