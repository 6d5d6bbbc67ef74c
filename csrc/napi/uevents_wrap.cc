#include "napi/uevents_wrap.h"

#include <system_error>
#include <utility>

namespace clusterlock::napi {
namespace {

Napi::Array Describe(Napi::Env env, const std::vector<dlm::Uevent>& events) {
  auto out = Napi::Array::New(env, events.size());
  for (uint32_t i = 0; i < events.size(); ++i) {
    auto event = Napi::Object::New(env);
    event.Set("action", events[i].action);
    event.Set("lockspace", events[i].lockspace);
    event.Set("devpath", events[i].devpath);
    out.Set(i, event);
  }
  return out;
}

}  // namespace

Napi::Function UeventsWrap::Watch(Napi::Env env, std::shared_ptr<Instance> instance) {
  const Napi::Function constructor =
      DefineClass(env, "DlmUevents",
                  {InstanceMethod<&UeventsWrap::SetRef>("setRef"), InstanceMethod<&UeventsWrap::Close>("close")});
  // shared: the function that keeps it is copied on its way
  const auto keep = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  return Napi::Function::New(
      env,
      [keep, instance = std::move(instance)](const Napi::CallbackInfo& info) mutable -> Napi::Value {
        return keep->New({Napi::External<std::shared_ptr<Instance>>::New(info.Env(), &instance), info[0]});
      },
      "watchUevents");
}

UeventsWrap::UeventsWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 2 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a DlmUevents comes from watchUevents()");
  }
  instance_ = *info[0].As<Napi::External<std::shared_ptr<Instance>>>().Data();
  if (!info[1].IsFunction()) throw Napi::TypeError::New(info.Env(), "watchUevents() takes a function");
  if (!instance_->alive()) throw Napi::Error::New(info.Env(), "the environment is ending");
  try {
    uevents_ = std::make_unique<sys::Uevents>();
    poll_.emplace(instance_, uevents_->fd(), [this](int status) { OnKernel(status); });
  } catch (const std::system_error& error) {
    const Napi::Error thrown = Napi::Error::New(info.Env(), error.what());
    thrown.Set("errno", Napi::Number::New(info.Env(), -error.code().value()));
    throw thrown;
  }
  callback_ = Napi::Persistent(info[1].As<Napi::Function>());
  instance_->Add(this);
  Ref();
}

UeventsWrap::~UeventsWrap() {
  Teardown();
}

void UeventsWrap::Teardown() noexcept {
  if (!uevents_) return;
  instance_->Remove(this);
  poll_.reset();
  uevents_.reset();
  Forget(callback_);
}

// setRef(on): whether listening keeps the process alive; at first it does not
void UeventsWrap::SetRef(const Napi::CallbackInfo& info) {
  if (!poll_) return;
  if (info[0].As<Napi::Boolean>().Value()) {
    poll_->Ref();
  } else {
    poll_->Unref();
  }
}

void UeventsWrap::Close(const Napi::CallbackInfo&) {
  if (!uevents_) return;
  Teardown();
  Unref();
}

void UeventsWrap::OnKernel(int status) {
  auto batch = status < 0 ? sys::Uevents::Batch{{}, false, -status} : uevents_->Read();
  if (batch.error != 0) poll_.reset();  // it would wake up for ever
  const Napi::Env env = Env();
  EnterJs(env, [&] {
    if (!batch.events.empty() || batch.overflowed) {
      const Napi::Function callback = callback_.Value();
      callback.MakeCallback(Value(), {Describe(env, batch.events), Napi::Boolean::New(env, batch.overflowed)});
    }
    // nobody could tell a listener that has gone deaf from a quiet machine
    if (batch.error != 0) {
      throw Napi::Error::New(env, "no more uevents: " + std::generic_category().message(batch.error));
    }
  });
}

}  // namespace clusterlock::napi
