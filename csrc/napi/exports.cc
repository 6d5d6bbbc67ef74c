#include "napi/exports.h"

#include "napi/channel_wrap.h"
#include "napi/control_wrap.h"
#include "napi/instance.h"
#include "napi/uevents_wrap.h"

namespace clusterlock::napi {

void Export(Napi::Env env, Napi::Object exports) {
  const auto instance = Instance::Create(env);
  auto* control = new ControlWrap(env, instance, ChannelWrap::Define(env));
  env.SetInstanceData(control);  // deleted with the environment
  exports.Set("openLockspace", Napi::Function::New(env, [control](const Napi::CallbackInfo& info) {
                return control->OpenLockspace(info);
              }));
  exports.Set("removeLockspace", Napi::Function::New(env, [control](const Napi::CallbackInfo& info) {
                return control->RemoveLockspace(info);
              }));
  exports.Set("watchUevents", UeventsWrap::Watch(env, instance));
}

}  // namespace clusterlock::napi
