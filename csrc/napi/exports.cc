#include "napi/exports.h"

#include "napi/channel_wrap.h"
#include "napi/control_wrap.h"
#include "napi/instance.h"

namespace clusterlock::napi {

void Export(Napi::Env env, Napi::Object exports) {
  auto* control = new ControlWrap(env, Instance::Create(env), ChannelWrap::Define(env));
  env.SetInstanceData(control);  // deleted with the environment
  exports.Set("openLockspace", Napi::Function::New(env, [control](const Napi::CallbackInfo& info) {
                return control->OpenLockspace(info);
              }));
  exports.Set("removeLockspace", Napi::Function::New(env, [control](const Napi::CallbackInfo& info) {
                return control->RemoveLockspace(info);
              }));
}

}  // namespace clusterlock::napi
