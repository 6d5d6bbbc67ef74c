#include "napi/control_wrap.h"

#include <system_error>
#include <utility>

#include "napi/channel_wrap.h"
#include "sys/thread.h"

namespace clusterlock::napi {
namespace {

Napi::Object Describe(Napi::Env env, const dlm::Failure& failure) {
  auto out = Napi::Object::New(env);
  out.Set("errno", -failure.error);
  out.Set("syscall", failure.syscall);
  out.Set("path", failure.path);
  auto holders = Napi::Array::New(env, failure.holders.size());
  for (uint32_t i = 0; i < failure.holders.size(); ++i) holders.Set(i, failure.holders[i]);
  out.Set("holders", holders);
  if (failure.version_mismatch) {
    const dlm::Version& version = failure.version;
    out.Set("version",
            std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch));
  }
  return out;
}

}  // namespace

ControlWrap::ControlWrap(Napi::Env env, std::shared_ptr<Instance> instance, Napi::Function channel_constructor)
    : env_(env),
      instance_(std::move(instance)),
      channel_constructor_(Napi::Persistent(channel_constructor)),
      inbox_(std::make_shared<Inbox>()) {
  poll_.emplace(instance_, inbox_->fd(), [this](int) { OnMail(); });
  instance_->Add(this);
}

ControlWrap::~ControlWrap() {
  Teardown();
}

void ControlWrap::Teardown() noexcept {
  if (!poll_) return;
  instance_->Remove(this);
  poll_.reset();
  for (auto& [call, callback] : calls_) Forget(callback);
  calls_.clear();
  Forget(channel_constructor_);
  inbox_->Close();
}

uint32_t ControlWrap::Begin(Napi::Env env, const Napi::Value& callback) {
  if (!poll_ || !instance_->alive()) throw Napi::Error::New(env, "the environment is ending");
  const uint32_t call = next_call_++;
  calls_.emplace(call, Napi::Persistent(callback.As<Napi::Function>()));
  poll_->Ref();
  return call;
}

// openLockspace(name, create, exclusive, mode | undefined, callback: (failure?, channel?) => void)
Napi::Value ControlWrap::OpenLockspace(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  dlm::Creation create;
  create.wanted = info[1].As<Napi::Boolean>().Value();
  create.exclusive = info[2].As<Napi::Boolean>().Value();
  if (info[3].IsNumber()) create.mode = info[3].As<Napi::Number>().Uint32Value();
  const uint32_t call = Begin(info.Env(), info[4]);
  try {
    sys::Detach([inbox = inbox_, name, create, call] {
      inbox->Post({call, true, dlm::OpenLockspace(sys::DefaultFileOps(), name, create)});
    });
  } catch (const std::system_error& error) {
    Done done{call, true, {}};
    done.result.failure = {error.code().value(), error.what()};
    inbox_->Post(std::move(done));
  }
  return info.Env().Undefined();
}

// removeLockspace(name, force, callback: (failure?) => void)
Napi::Value ControlWrap::RemoveLockspace(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const bool force = info[1].As<Napi::Boolean>().Value();
  const uint32_t call = Begin(info.Env(), info[2]);
  try {
    sys::Detach([inbox = inbox_, name, force, call] {
      sys::DefaultFileOps().Isolate({inbox->fd()});
      Done done{call, false, {}};
      done.result.failure = dlm::RemoveLockspace(sys::DefaultFileOps(), name, force);
      inbox->Post(std::move(done));
    });
  } catch (const std::system_error& error) {
    Done done{call, false, {}};
    done.result.failure = {error.code().value(), error.what()};
    inbox_->Post(std::move(done));
  }
  return info.Env().Undefined();
}

void ControlWrap::OnMail() {
  for (Done& done : inbox_->Take()) {
    if (!poll_) return;  // a callback ended the environment
    Finish(std::move(done));
  }
}

void ControlWrap::Finish(Done done) {
  auto call = calls_.extract(done.call);
  if (calls_.empty()) poll_->Unref();
  if (!call) return;
  EnterJs(env_, [&] {
    const Napi::Value none = env_.Undefined();
    Napi::Value failure = none, channel = none;
    if (done.result.failure.error != 0) {
      failure = Describe(env_, done.result.failure);
    } else if (done.opens) {
      channel = ChannelWrap::New(channel_constructor_, instance_, std::move(done.result));
    }
    call.mapped().MakeCallback(env_.Global(), {failure, channel});
  });
}

}  // namespace clusterlock::napi
