#include "napi/block_device_wrap.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "napi/errors.h"

namespace clusterlock::napi {
namespace {

using clog::BlockDevice;
using clog::BlockResult;

constexpr double kLengthMax = 1 << 30;
constexpr double kPositionMax = 9007199254740991;

struct NewDevice {
  std::shared_ptr<ClogSystem> system;
  std::shared_ptr<BlockDevice> device;
  clog::BlockDeviceInfo info;
};

BlockDevice::Done PostTo(const ClogSystem& system, uint32_t call) {
  return [inbox = system.inbox(), call](BlockResult result) { inbox->Post({call, std::move(result), {}}); };
}

uint64_t WholeNumber(const Napi::Value& value, const char* name, double most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= most) || std::floor(number) != number) {
    throw Napi::RangeError::New(
        value.Env(), std::string(name) + " is a whole number up to " + std::to_string(static_cast<uint64_t>(most)));
  }
  return static_cast<uint64_t>(number);
}

// Without a copy: the bytes are freed with the buffer.
napi_value ToBuffer(Napi::Env env, BlockResult result) {
  if (result.size == 0) return Napi::Buffer<uint8_t>::New(env, 0);
  const auto free = [](Napi::BasicEnv, uint8_t* bytes) { clog::FreeBytes()(bytes); };
  uint8_t* bytes = result.data.release();
  return Napi::Buffer<uint8_t>::New(env, bytes, result.size, free);
}

std::vector<napi_value> OnlyErrno(Napi::Env env, ClogSystem::Done done) {
  return {Napi::Number::New(env, done.block.error)};
}

}  // namespace

Napi::Function BlockDeviceWrap::Open(Napi::Env env, std::shared_ptr<ClogSystem> system) {
  const Napi::Function constructor =
      DefineClass(env, "BlockDevice",
                  {InstanceMethod<&BlockDeviceWrap::Read>("read"), InstanceMethod<&BlockDeviceWrap::Write>("write"),
                   InstanceMethod<&BlockDeviceWrap::Flush>("flush"), InstanceMethod<&BlockDeviceWrap::Close>("close")});
  // shared: the functions that keep it are copied on their way
  const auto keep = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  return Napi::Function::New(
      env,
      [keep, system = std::move(system)](const Napi::CallbackInfo& info) {
        clog::BlockDeviceOptions options;
        options.path = info[0].As<Napi::String>().Utf8Value();
        options.writable = info[1].As<Napi::Boolean>().Value();
        options.direct = info[2].As<Napi::Boolean>().Value();
        if (options.path.find('\0') != std::string::npos) throw Napi::TypeError::New(info.Env(), "a path has no NUL");
        if (!info[3].IsFunction()) throw Napi::TypeError::New(info.Env(), "openBlockDevice() ends in a callback");
        const auto device = std::make_shared<std::shared_ptr<BlockDevice>>();
        const auto opened = [keep, system, device](Napi::Env in, ClogSystem::Done done) -> std::vector<napi_value> {
          if (done.block.error != 0) {
            auto failure = Napi::Object::New(in);
            failure.Set("errno", done.block.error);
            failure.Set("syscall", done.block.syscall);
            return {failure, in.Undefined()};
          }
          NewDevice args{system, std::move(*device), done.block.info};
          return {in.Undefined(), keep->New({Napi::External<NewDevice>::New(in, &args)})};
        };
        const uint32_t call = system->Begin(info[3], Napi::Object::New(info.Env()), opened);
        const BlockDevice::Done post = PostTo(*system, call);
        try {
          *device = std::make_shared<BlockDevice>(std::move(options), std::vector<int>{system->inbox()->fd()}, post);
        } catch (const std::system_error& error) {
          BlockResult failed;
          failed.error = -error.code().value();
          failed.syscall = "pthread_create";
          post(std::move(failed));
        }
      },
      "openBlockDevice");
}

BlockDeviceWrap::BlockDeviceWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a BlockDevice comes from openBlockDevice()");
  }
  auto* args = info[0].As<Napi::External<NewDevice>>().Data();
  auto self = info.This().As<Napi::Object>();
  self.Set("size", static_cast<double>(args->info.size));
  self.Set("major", args->info.major);
  self.Set("minor", args->info.minor);
  self.Set("logicalBlockSize", args->info.logical_block_size);
  system_ = std::move(args->system);
  device_ = std::move(args->device);
  system_->instance()->Add(this);
}

BlockDeviceWrap::~BlockDeviceWrap() {
  Teardown();
}

void BlockDeviceWrap::Teardown() noexcept {
  if (!device_) return;
  system_->instance()->Remove(this);
  device_.reset();
}

BlockDevice::Done BlockDeviceWrap::Begin(const Napi::CallbackInfo& info, size_t callback,
                                         ClogSystem::Arguments arguments) {
  if (!device_) throw Napi::Error::New(info.Env(), "the environment is ending");
  return PostTo(*system_, system_->Begin(info[callback], info.This().As<Napi::Object>(), std::move(arguments)));
}

// read(position, length, callback: (errno, data?) => void)
void BlockDeviceWrap::Read(const Napi::CallbackInfo& info) {
  const uint64_t position = WholeNumber(info[0], "position", kPositionMax);
  const auto length = static_cast<size_t>(WholeNumber(info[1], "length", kLengthMax));
  const auto arguments = [](Napi::Env env, ClogSystem::Done done) -> std::vector<napi_value> {
    const int error = done.block.error;
    return {Napi::Number::New(env, error),
            error == 0 ? ToBuffer(env, std::move(done.block)) : static_cast<napi_value>(env.Undefined())};
  };
  BlockDevice::Done done = Begin(info, 2, arguments);
  device_->Read(position, length, std::move(done));
}

// write(position, data: Uint8Array, callback: (errno) => void)
void BlockDeviceWrap::Write(const Napi::CallbackInfo& info) {
  const uint64_t position = WholeNumber(info[0], "position", kPositionMax);
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(info.Env(), "data is a Uint8Array");
  }
  const auto data = info[1].As<Napi::Uint8Array>();
  const size_t size = data.ByteLength();
  clog::Bytes copy = clog::AllocatePages(size);
  if (copy && size > 0) std::memcpy(copy.get(), data.Data(), size);
  BlockDevice::Done done = Begin(info, 2, OnlyErrno);
  if (copy) return device_->Write(position, std::move(copy), size, std::move(done));
  BlockResult failed;
  failed.error = -ENOMEM;
  done(std::move(failed));
}

// flush(callback: (errno) => void)
void BlockDeviceWrap::Flush(const Napi::CallbackInfo& info) {
  BlockDevice::Done done = Begin(info, 0, OnlyErrno);
  device_->Flush(std::move(done));
}

// close(callback?: () => void)
void BlockDeviceWrap::Close(const Napi::CallbackInfo& info) {
  BlockDevice::Done done = Begin(info, 0, [](Napi::Env, const ClogSystem::Done&) { return std::vector<napi_value>{}; });
  device_->Close(std::move(done));
}

}  // namespace clusterlock::napi
