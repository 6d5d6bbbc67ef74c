#include "napi/clog_system_wrap.h"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "napi/block_device_wrap.h"
#include "napi/errors.h"
#include "sys/datagram.h"
#include "sys/execute.h"
#include "sys/own_table.h"
#include "sys/range_lock.h"
#include "sys/reclaim.h"
#include "sys/thread.h"

namespace clusterlock::napi {
namespace {

Napi::Array Describe(Napi::Env env, const std::vector<clog::DmTarget>& targets) {
  auto out = Napi::Array::New(env, targets.size());
  for (uint32_t i = 0; i < targets.size(); ++i) {
    auto target = Napi::Object::New(env);
    target.Set("start", static_cast<double>(targets[i].start));
    target.Set("length", static_cast<double>(targets[i].length));
    target.Set("type", targets[i].type);
    target.Set("params", targets[i].params);
    out.Set(i, target);
  }
  return out;
}

Napi::Object Describe(Napi::Env env, const clog::DmDevice& device) {
  auto out = Napi::Object::New(env);
  out.Set("name", device.live.name);
  out.Set("uuid", device.live.uuid);
  out.Set("major", device.live.major);
  out.Set("minor", device.live.minor);
  out.Set("suspended", device.live.suspended);
  out.Set("active", Describe(env, device.live.targets));
  out.Set("inactive", Describe(env, device.inactive));
  return out;
}

std::vector<napi_value> Describe(Napi::Env env, const clog::DmDevices& found) {
  if (found.error != 0) {
    auto failure = Napi::Object::New(env);
    failure.Set("errno", found.error);
    failure.Set("syscall", found.syscall);
    return {failure, env.Undefined()};
  }
  auto devices = Napi::Array::New(env, found.devices.size());
  for (uint32_t i = 0; i < found.devices.size(); ++i) devices.Set(i, Describe(env, found.devices[i]));
  return {env.Undefined(), devices};
}

// listDmDevices(callback: (failure?, devices?) => void)
void ListDmDevices(const Napi::CallbackInfo& info, ClogSystem& system) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "listDmDevices() takes a function");
  const uint32_t call =
      system.Begin(info[0], Napi::Object::New(info.Env()),
                   [](Napi::Env env, const ClogSystem::Done& done) { return Describe(env, done.dm); });
  const auto& inbox = system.inbox();
  try {
    sys::Detach([inbox, call] {
      sys::OwnTable({inbox->fd()});
      inbox->Post({call, {}, clog::ListDmDevices()});
    });
  } catch (const std::system_error& error) {
    clog::DmDevices failed;
    failed.error = -error.code().value();
    failed.syscall = "pthread_create";
    inbox->Post({call, {}, std::move(failed)});
  }
}

std::vector<std::string> Texts(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value text = array.Get(i);
    if (!text.IsString()) throw Napi::TypeError::New(value.Env(), "execute() takes strings");
    out.push_back(text.As<Napi::String>());
  }
  return out;
}

}  // namespace

void DefineClogSystem(Napi::Env env, Napi::Object exports, std::shared_ptr<Instance> instance) {
  const auto system = std::make_shared<ClogSystem>(std::move(instance));
  const auto add = [&](const char* name, auto body) { exports.Set(name, Napi::Function::New(env, body, name)); };
  exports.Set("openBlockDevice", BlockDeviceWrap::Open(env, system));
  add("listDmDevices", [system](const Napi::CallbackInfo& info) { ListDmDevices(info, *system); });
  add("lockMemory",
      [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Number::New(info.Env(), sys::LockMemory()); });
  add("setIoFlusher",
      [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Number::New(info.Env(), sys::SetIoFlusher()); });
  // execute(path, argv, env)
  add("execute", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const std::string path = info[0].As<Napi::String>();
    return Napi::Number::New(info.Env(), sys::Execute(path, Texts(info[1]), Texts(info[2])));
  });
  // lockFile(fd)
  add("lockFile", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const int fd = info[0].As<Napi::Number>().Int32Value();
    constexpr int64_t kToTheEnd = 0;
    return Napi::Number::New(info.Env(), sys::LockRange(fd, 0, kToTheEnd, F_WRLCK, sys::RangeWait::kNo));
  });
  // sendDatagram(path, text)
  add("sendDatagram", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const std::string path = info[0].As<Napi::String>();
    return Napi::Number::New(info.Env(), sys::SendDatagram(path, info[1].As<Napi::String>()));
  });
}

ClogSystem::~ClogSystem() {
  Teardown();
}

void ClogSystem::Teardown() noexcept {
  if (std::exchange(ended_, true) || !poll_) return;
  instance_->Remove(this);
  poll_.reset();
  for (auto& [_, call] : calls_) {
    Forget(call.callback);
    Forget(call.owner);
  }
  calls_.clear();
  inbox_->Close();
}

uint32_t ClogSystem::Begin(const Napi::Value& callback, const Napi::Object& owner, Arguments arguments) {
  const Napi::Env env = owner.Env();
  if (!callback.IsFunction() && !callback.IsUndefined()) throw Napi::TypeError::New(env, "a callback is a function");
  if (ended_ || !instance_->alive()) throw Napi::Error::New(env, "the environment is ending");
  if (!poll_) {
    try {
      inbox_ = std::make_shared<Inbox>();
      poll_.emplace(instance_, inbox_->fd(), [this](int) { OnMail(); });
    } catch (const std::system_error& error) {
      throw SystemError(env, error.code().value(), "eventfd");
    }
    instance_->Add(this);
  }
  const uint32_t number = next_call_++;
  Call call;
  if (callback.IsFunction()) call.callback = Napi::Persistent(callback.As<Napi::Function>());
  call.owner = Napi::Persistent(owner);
  call.arguments = std::move(arguments);
  calls_.emplace(number, std::move(call));
  poll_->Ref();
  return number;
}

void ClogSystem::OnMail() {
  for (Done& done : inbox_->Take()) {
    if (!poll_) return;  // a callback ended the environment
    Finish(std::move(done));
  }
}

void ClogSystem::Finish(Done done) {
  auto call = calls_.extract(done.call);
  if (calls_.empty()) poll_->Unref();
  if (!call) return;
  const Napi::Env env = call.mapped().owner.Env();
  EnterJs(env, [&] {
    const Napi::Object owner = call.mapped().owner.Value();
    // also without a callback: what was opened is to be had, or let go
    const std::vector<napi_value> arguments = call.mapped().arguments(env, std::move(done));
    if (!call.mapped().callback.IsEmpty()) call.mapped().callback.MakeCallback(owner, arguments);
  });
}

}  // namespace clusterlock::napi
