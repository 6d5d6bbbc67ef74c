#include "napi/channel_wrap.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace clusterlock::napi {
namespace {

// lib/dlm/channel.ts reads the same layout: eight 32-bit fields, then the value block.
constexpr size_t kRecordSize = 64;
constexpr size_t kRecordLvb = 32;
constexpr size_t kRecordsMax = 512;  // a bound on one wake-up, so that a busy lockspace cannot starve the loop
// And what it writes: twelve 32-bit fields, the value block, the resource's name.
constexpr size_t kRequestSize = 144;
constexpr size_t kRequestLvb = 48;
constexpr size_t kRequestName = 80;

struct NewChannel {
  std::shared_ptr<Instance> instance;
  dlm::Opened opened;
};

void PutRecord(uint8_t* at, const dlm::Event& event) {
  const dlm::Result& result = event.result;
  const bool failed = event.kind == dlm::EventKind::kWriteFailed;
  const std::array<int32_t, 8> fields{static_cast<int32_t>(event.kind),
                                      static_cast<int32_t>(result.cookie.slot),
                                      static_cast<int32_t>(result.cookie.generation),
                                      failed ? -event.error : result.status,
                                      result.sb_flags,
                                      failed ? static_cast<int32_t>(event.refused) : result.bast_mode,
                                      static_cast<int32_t>(result.lkid),
                                      result.has_lvb ? 1 : 0};
  std::memcpy(at, fields.data(), sizeof fields);
  if (result.has_lvb) std::memcpy(at + kRecordLvb, result.lvb.data(), result.lvb.size());
}

void TakeRequest(const uint8_t* at, dlm::Op* op) {
  std::array<uint32_t, 12> fields;
  std::memcpy(fields.data(), at, sizeof fields);
  op->kind = static_cast<dlm::OpKind>(fields[0] % dlm::kOpKinds);
  op->cookie = {fields[1], fields[2]};
  op->mode = static_cast<uint8_t>(fields[3]);
  op->flags = fields[4];
  op->bast = fields[5] != 0;
  op->name_size = static_cast<uint8_t>(std::min<size_t>(fields[6], dlm::kNameMax));
  op->lkid = fields[7];
  op->xid = (static_cast<uint64_t>(fields[9]) << 32) | fields[8];
  op->purge = {fields[10], fields[11]};
  op->from = fields[10];
  std::memcpy(op->lvb.data(), at + kRequestLvb, op->lvb.size());
  std::memcpy(op->name.data(), at + kRequestName, op->name_size);
}

}  // namespace

Napi::Function ChannelWrap::Define(Napi::Env env) {
  return DefineClass(env, "DlmChannel",
                     {InstanceMethod<&ChannelWrap::Start>("start"), InstanceMethod<&ChannelWrap::Submit>("submit"),
                      InstanceMethod<&ChannelWrap::SetRef>("setRef"), InstanceMethod<&ChannelWrap::Close>("close")});
}

Napi::Object ChannelWrap::New(const Napi::FunctionReference& constructor, std::shared_ptr<Instance> instance,
                              dlm::Opened opened) {
  NewChannel args{std::move(instance), std::move(opened)};
  return constructor.New({Napi::External<NewChannel>::New(constructor.Env(), &args)});
}

ChannelWrap::ChannelWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a DlmChannel comes from openLockspace()");
  }
  auto* args = info[0].As<Napi::External<NewChannel>>().Data();
  instance_ = std::move(args->instance);
  const Napi::Object self = info.This().As<Napi::Object>();
  self.Set("minor", args->opened.minor);
  self.Set("created", args->opened.created);
  self.Set("path", args->opened.path);
  const dlm::Version& version = args->opened.version;
  self.Set("version",
           std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch));
  channel_ = std::move(args->opened.channel);
  instance_->Add(this);
}

ChannelWrap::~ChannelWrap() {
  Teardown();
}

void ChannelWrap::Teardown() noexcept {
  if (!channel_) return;
  instance_->Remove(this);
  kernel_poll_.reset();
  local_poll_.reset();
  channel_.reset();  // its submitter closes the device, in its own time
  Forget(dispatch_);
  Forget(records_owner_);
  Forget(requests_owner_);
}

// start(records: ArrayBuffer, requests: ArrayBuffer, dispatch: (count, closed, errno) => void)
void ChannelWrap::Start(const Napi::CallbackInfo& info) {
  if (!channel_ || local_poll_) return;
  auto records = info[0].As<Napi::ArrayBuffer>();
  records_ = static_cast<uint8_t*>(records.Data());
  events_.resize(std::min(records.ByteLength() / kRecordSize, kRecordsMax));
  records_owner_ = Napi::Persistent(records.As<Napi::Object>());
  auto requests = info[1].As<Napi::ArrayBuffer>();
  requests_ = static_cast<const uint8_t*>(requests.Data());
  ops_.resize(requests.ByteLength() / kRequestSize);
  requests_owner_ = Napi::Persistent(requests.As<Napi::Object>());
  dispatch_ = Napi::Persistent(info[2].As<Napi::Function>());
  try {
    local_poll_.emplace(instance_, channel_->local_fd(), [this](int) { OnLocal(); });
    kernel_poll_.emplace(instance_, channel_->device_fd(), [this](int status) { OnKernel(status); });
  } catch (const std::exception& error) {
    local_poll_.reset();
    throw Napi::Error::New(info.Env(), error.what());
  }
  Ref();
}

// submit(count): the first `count` requests of the buffer
void ChannelWrap::Submit(const Napi::CallbackInfo& info) {
  if (!channel_ || closing_) throw Napi::Error::New(info.Env(), "the channel is closed");
  const size_t count = std::min<size_t>(info[0].As<Napi::Number>().Uint32Value(), ops_.size());
  for (size_t i = 0; i < count; ++i) TakeRequest(requests_ + i * kRequestSize, &ops_[i]);
  channel_->Submit(ops_.data(), count);
}

// setRef(on): whether an open channel keeps the process alive
void ChannelWrap::SetRef(const Napi::CallbackInfo& info) {
  if (!kernel_poll_) return;
  if (info[0].As<Napi::Boolean>().Value()) {
    kernel_poll_->Ref();
  } else {
    kernel_poll_->Unref();
  }
}

// close(keepAlive): ends with a dispatch whose `closed` is true
void ChannelWrap::Close(const Napi::CallbackInfo& info) {
  if (!channel_ || closing_) return;
  closing_ = true;
  kernel_poll_.reset();
  if (local_poll_ && info[0].As<Napi::Boolean>().Value()) local_poll_->Ref();
  channel_->Close();
}

void ChannelWrap::OnKernel(int status) {
  int error = status < 0 ? -status : 0;
  const size_t count = error != 0 ? 0 : channel_->ReadKernel(events_.data(), events_.size(), &error);
  for (size_t i = 0; i < count; ++i) PutRecord(records_ + i * kRecordSize, events_[i]);
  if (error != 0) kernel_poll_.reset();  // it would wake up for ever
  if (count > 0 || error != 0) Deliver(count, false, error);
}

void ChannelWrap::OnLocal() {
  bool closed = false;
  const size_t count = channel_->ReadLocal(events_.data(), events_.size(), &closed);
  for (size_t i = 0; i < count; ++i) PutRecord(records_ + i * kRecordSize, events_[i]);
  if (count > 0 || closed) Deliver(count, closed, 0);
}

void ChannelWrap::Deliver(size_t count, bool closed, int error) {
  const Napi::Env env = Env();
  EnterJs(env, [&] {
    const Napi::Function dispatch = dispatch_.Value();
    const Napi::Value self = Value();
    if (closed) {
      Teardown();
      Unref();
    }
    dispatch.MakeCallback(self, {Napi::Number::New(env, static_cast<double>(count)), Napi::Boolean::New(env, closed),
                                 Napi::Number::New(env, error)});
  });
}

}  // namespace clusterlock::napi
