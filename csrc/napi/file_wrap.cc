#include "napi/file_wrap.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "dlmfs/range.h"
#include "napi/errors.h"
#include "sys/range_lock.h"

namespace clusterlock::napi {
namespace {

struct NewFile {
  std::shared_ptr<Instance> instance;
  sys::UniqueFd fd;
};

Napi::Value Result(Napi::Env env, ssize_t result) {
  return Napi::Number::New(env, static_cast<double>(result < 0 ? -errno : result));
}

}  // namespace

Napi::Function FileWrap::Define(Napi::Env env) {
  return DefineClass(env, "DlmfsFile",
                     {InstanceAccessor<&FileWrap::Number>("fd"), InstanceMethod<&FileWrap::Read>("read"),
                      InstanceMethod<&FileWrap::Write>("write"), InstanceMethod<&FileWrap::Readable>("readable"),
                      InstanceMethod<&FileWrap::Watch>("watch"), InstanceMethod<&FileWrap::Unwatch>("unwatch"),
                      InstanceMethod<&FileWrap::SetRef>("setRef"), InstanceMethod<&FileWrap::Range>("range"),
                      InstanceMethod<&FileWrap::Close>("close")});
}

Napi::Object FileWrap::New(const Napi::FunctionReference& constructor, std::shared_ptr<Instance> instance,
                           sys::UniqueFd fd) {
  NewFile args{std::move(instance), std::move(fd)};
  return constructor.New({Napi::External<NewFile>::New(constructor.Env(), &args)});
}

std::shared_ptr<sys::UniqueFd> FileWrap::Share(const Napi::FunctionReference& constructor, const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor.Value())) {
    throw Napi::TypeError::New(value.Env(), "a sidecar is a file that an opener has opened");
  }
  return Unwrap(value.As<Napi::Object>())->fd_;
}

FileWrap::FileWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a DlmfsFile comes from an opener");
  }
  auto* args = info[0].As<Napi::External<NewFile>>().Data();
  instance_ = std::move(args->instance);
  fd_ = std::make_shared<sys::UniqueFd>(std::move(args->fd));
  instance_->Add(this);
}

FileWrap::~FileWrap() {
  Teardown();
}

void FileWrap::Teardown() noexcept {
  if (!instance_) return;
  instance_->Remove(this);
  StopWatching();
  fd_.reset();
}

void FileWrap::StopWatching() noexcept {
  if (!poll_) return;
  poll_.reset();
  Forget(callback_);
}

Napi::Value FileWrap::Number(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), fd());
}

// read(target: Uint8Array): from the start
Napi::Value FileWrap::Read(const Napi::CallbackInfo& info) {
  auto target = info[0].As<Napi::Uint8Array>();
  return Result(info.Env(), ::pread(fd(), target.Data(), target.ByteLength(), 0));
}

// write(source: Uint8Array): to the start
Napi::Value FileWrap::Write(const Napi::CallbackInfo& info) {
  const auto source = info[0].As<Napi::Uint8Array>();
  return Result(info.Env(), ::pwrite(fd(), source.Data(), source.ByteLength(), 0));
}

Napi::Value FileWrap::Readable(const Napi::CallbackInfo& info) {
  pollfd poll{fd(), POLLIN, 0};
  return Napi::Boolean::New(info.Env(), ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLIN) != 0);
}

// watch(callback: () => void): once. The kernel goes on saying that a lock is wanted until it is given up.
void FileWrap::Watch(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "watch() takes a function");
  if (!fd_ || !instance_->alive()) throw SystemError(info.Env(), EBADF, "uv_poll_init");
  StopWatching();
  try {
    poll_.emplace(instance_, fd(), [this](int) { OnReadable(); });
  } catch (const std::system_error& error) {
    throw SystemError(info.Env(), error.code().value(), "uv_poll_init");
  }
  if (keeps_alive_) poll_->Ref();
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
  Ref();
}

void FileWrap::Unwatch(const Napi::CallbackInfo&) {
  if (!poll_) return;
  StopWatching();
  Unref();
}

// setRef(on): whether watching keeps the process alive; at first it does not
void FileWrap::SetRef(const Napi::CallbackInfo& info) {
  keeps_alive_ = info[0].As<Napi::Boolean>().Value();
  if (!poll_) return;
  if (keeps_alive_) {
    poll_->Ref();
  } else {
    poll_->Unref();
  }
}

// range(name, kind, type): 0 or -errno
Napi::Value FileWrap::Range(const Napi::CallbackInfo& info) {
  constexpr std::array<int16_t, dlmfs::kRangeTypes> kTypes{F_UNLCK, F_RDLCK, F_WRLCK};
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const uint32_t kind = info[1].As<Napi::Number>().Uint32Value();
  const uint32_t type = info[2].As<Napi::Number>().Uint32Value();
  int error = -EINVAL;
  if (kind < dlmfs::kRangeKinds && type < kTypes.size()) {
    const int64_t byte = dlmfs::ByteOf(name, static_cast<dlmfs::RangeKind>(kind));
    error = sys::LockRange(fd(), byte, 1, kTypes[type], sys::RangeWait::kNo);
  }
  return Napi::Number::New(info.Env(), error);
}

// close(): 0 or -errno. A descriptor that is on its way to an opener closes when it has got there.
Napi::Value FileWrap::Close(const Napi::CallbackInfo& info) {
  if (!fd_) return Napi::Number::New(info.Env(), -EBADF);
  const bool watched = poll_.has_value();
  StopWatching();
  const int error = fd_.use_count() == 1 ? fd_->Close() : 0;
  Teardown();
  if (watched) Unref();
  return Napi::Number::New(info.Env(), error);
}

void FileWrap::OnReadable() {
  EnterJs(Env(), [&] {
    const Napi::Function callback = callback_.Value();
    const Napi::Value self = Value();
    StopWatching();
    Unref();
    callback.MakeCallback(self, {});
  });
}

}  // namespace clusterlock::napi
