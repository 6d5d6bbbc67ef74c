#include "napi/exports.h"

#include <memory>

#include "napi/channel_wrap.h"
#include "napi/clog_system_wrap.h"
#include "napi/control_wrap.h"
#include "napi/instance.h"
#include "napi/log_socket_wrap.h"
#include "napi/opener_wrap.h"
#include "napi/uevents_wrap.h"
#include "sys/abstract_socket.h"

namespace clusterlock::napi {
namespace {

// Deleted with the environment.
struct Controls {
  Controls(Napi::Env env, const std::shared_ptr<Instance>& instance)
      : control(env, instance, ChannelWrap::Define(env)), opener(env, instance) {}
  ControlWrap control;
  OpenerControl opener;
};

}  // namespace

void Export(Napi::Env env, Napi::Object exports) {
  const auto instance = Instance::Create(env);
  auto* controls = new Controls(env, instance);
  env.SetInstanceData(controls);
  ControlWrap* control = &controls->control;
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
  exports.Set("startOpener", Napi::Function::New(env, [opener = &controls->opener](const Napi::CallbackInfo& info) {
                return opener->Start(info);
              }));
  LogSocketWrap::Export(env, exports, instance);
  exports.Set("watchUevents", UeventsWrap::Watch(env, instance));
  DefineClogSystem(env, exports, instance);
}

}  // namespace clusterlock::napi
