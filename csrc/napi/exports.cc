#include "napi/exports.h"

#include "napi/channel_wrap.h"
#include "napi/control_wrap.h"
#include "napi/instance.h"
#include "napi/uevents_wrap.h"
#include "sys/abstract_socket.h"

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
  // connectAbstract(name): a descriptor, or -errno
  exports.Set("connectAbstract", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                const std::string name = info[0].As<Napi::String>().Utf8Value();
                return Napi::Number::New(info.Env(), sys::ConnectAbstract(name));
              }));
  exports.Set("watchUevents", UeventsWrap::Watch(env, instance));
}

}  // namespace clusterlock::napi
