// The addon over the double, with the double's levers beside it.
#include "double/dlm_double.h"
#include "double/log_link.h"
#include "napi/exports.h"

namespace {

using clusterlock::testing::Double;

uint32_t Arg(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Uint32Value();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  clusterlock::napi::Export(env, exports);
  auto levers = Napi::Object::New(env);
  const auto add = [&](const char* name, auto body) { levers.Set(name, Napi::Function::New(env, body, name)); };
  add("stall", [](const Napi::CallbackInfo& info) { Double().Stall(info[0].As<Napi::Boolean>().Value()); });
  add("failWrites", [](const Napi::CallbackInfo& info) {
    Double().FailWrites(static_cast<int>(Arg(info, 0)), static_cast<int>(Arg(info, 1)));
  });
  add("failOpens", [](const Napi::CallbackInfo& info) {
    Double().FailOpens(static_cast<int>(Arg(info, 0)), static_cast<int>(Arg(info, 1)));
  });
  add("failReads", [](const Napi::CallbackInfo& info) {
    Double().FailReads(static_cast<int>(Arg(info, 0)), static_cast<int>(Arg(info, 1)));
  });
  add("modeOf", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), Double().ModeOf(info[0].As<Napi::String>().Utf8Value()));
  });
  add("setVersion",
      [](const Napi::CallbackInfo& info) { Double().SetVersion(Arg(info, 0), Arg(info, 1), Arg(info, 2)); });
  add("setModuleLoaded",
      [](const Napi::CallbackInfo& info) { Double().SetModuleLoaded(info[0].As<Napi::Boolean>().Value()); });
  add("countLocks", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(Double().CountLocks()));
  });
  add("countHandles", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(Double().CountHandles()));
  });
  add("logSend", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto datagram = info[1].As<Napi::Uint8Array>();
    return Napi::Number::New(
        info.Env(), clusterlock::testing::LogSend(
                        Arg(info, 0), {datagram.Data(), datagram.Data() + datagram.ByteLength()}, Arg(info, 2)));
  });
  add("logOverrun", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), clusterlock::testing::LogOverrun(Arg(info, 0)));
  });
  add("logFail", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const int error = static_cast<int>(Arg(info, 1));
    return Napi::Number::New(info.Env(), clusterlock::testing::LogFail(Arg(info, 0), error));
  });
  add("logReceive", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const auto got = clusterlock::testing::LogReceive(Arg(info, 0));
    return Napi::Buffer<uint8_t>::Copy(info.Env(), got.data(), got.size());
  });
  add("logOpen", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), clusterlock::testing::LogOpen(Arg(info, 0)));
  });
  exports.Set("double", levers);
  return exports;
}

}  // namespace

NODE_API_MODULE(clusterlock_double, Init)
