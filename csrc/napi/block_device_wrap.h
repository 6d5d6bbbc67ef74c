// clog::BlockDevice for JavaScript.
#pragma once

#include <napi.h>

#include <memory>

#include "clog/block_device.h"
#include "napi/clog_system_wrap.h"
#include "napi/instance.h"

namespace clusterlock::napi {

class BlockDeviceWrap final : public Napi::ObjectWrap<BlockDeviceWrap>, public Closable {
 public:
  // The function openBlockDevice(path, writable, direct, opened: (failure?, device?) => void)
  static Napi::Function Open(Napi::Env env, std::shared_ptr<ClogSystem> system);

  explicit BlockDeviceWrap(const Napi::CallbackInfo& info);
  ~BlockDeviceWrap() override;

  void Teardown() noexcept override;

 private:
  void Read(const Napi::CallbackInfo& info);
  void Write(const Napi::CallbackInfo& info);
  void Flush(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // Throws Napi::Error.
  clog::BlockDevice::Done Begin(const Napi::CallbackInfo& info, size_t callback, ClogSystem::Arguments arguments);

  std::shared_ptr<ClogSystem> system_;
  std::shared_ptr<clog::BlockDevice> device_;
};

}  // namespace clusterlock::napi
