#include "napi/log_socket_wrap.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "napi/errors.h"
#include "napi/regions_wrap.h"

namespace clusterlock::napi {
namespace {

Napi::Object Describe(Napi::Env env, const clog::Trouble& trouble) {
  auto out = Napi::Object::New(env);
  switch (trouble.kind) {
    case clog::Trouble::Kind::kOverrun:
      out.Set("kind", "overrun");
      break;
    case clog::Trouble::Kind::kForeignSender:
      out.Set("kind", "foreign-sender");
      out.Set("pid", trouble.port);
      break;
    case clog::Trouble::Kind::kMalformed:
      out.Set("kind", "malformed");
      out.Set("length", static_cast<double>(trouble.size));
      out.Set("reason", trouble.reason);
      break;
    case clog::Trouble::Kind::kFailed:
      out.Set("kind", "failed");
      out.Set("errno", -trouble.error);
      break;
  }
  return out;
}

Napi::Array Describe(Napi::Env env, const std::vector<clog::Packet>& packets) {
  auto out = Napi::Array::New(env, packets.size());
  for (uint32_t i = 0; i < packets.size(); ++i) {
    const std::vector<uint8_t>& datagram = packets[i].datagram;
    auto packet = Napi::Object::New(env);
    packet.Set("packet", Napi::Buffer<uint8_t>::Copy(env, datagram.data(), datagram.size()));
    packet.Set("since", packets[i].since);
    out.Set(i, packet);
  }
  return out;
}

uint64_t LuidOf(const Napi::Value& value) {
  if (!value.IsBigInt()) throw Napi::TypeError::New(value.Env(), "a luid is a bigint");
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

template <typename Counter>
Napi::Number Number(Napi::Env env, const Counter& counter) {
  return Napi::Number::New(env, static_cast<double>(counter.load(std::memory_order_relaxed)));
}

}  // namespace

struct LogSocketWrap::Classes {
  Napi::FunctionReference socket;
  Napi::FunctionReference regions;
};

struct LogSocketWrap::New {
  std::shared_ptr<Classes> classes;
  std::shared_ptr<Instance> instance;
  std::unique_ptr<clog::Link> link;
};

void LogSocketWrap::Export(Napi::Env env, Napi::Object exports, const std::shared_ptr<Instance>& instance) {
  const auto classes = std::make_shared<Classes>();
  classes->regions = Napi::Persistent(RegionsWrap::Define(env));
  classes->socket = Napi::Persistent(
      DefineClass(env, "LogSocket",
                  {InstanceMethod<&LogSocketWrap::Reply>("reply"), InstanceMethod<&LogSocketWrap::Attach>("attach"),
                   InstanceMethod<&LogSocketWrap::Detach>("detach"), InstanceMethod<&LogSocketWrap::Stats>("stats"),
                   InstanceMethod<&LogSocketWrap::SetRef>("setRef"), InstanceMethod<&LogSocketWrap::Close>("close")}));
  exports.Set("openRegions", Napi::Function::New(env, [classes](const Napi::CallbackInfo& info) {
                return RegionsWrap::Open(classes->regions, info);
              }));
  // openLogSocket(port, receiveBuffer, opened, onRequests, onTrouble)
  exports.Set(
      "openLogSocket", Napi::Function::New(env, [classes, instance](const Napi::CallbackInfo& info) {
        New args{classes, instance, nullptr};
        const Napi::Env here = info.Env();
        const auto opened = info[2].As<Napi::Function>();
        const uint32_t port = info[0].As<Napi::Number>().Uint32Value();
        try {
          if (!instance->alive()) throw std::system_error(ECANCELED, std::system_category(), "socket");
          args.link = clog::OpenLink(port, info[1].As<Napi::Number>().Int32Value());
        } catch (const std::system_error& error) {
          const std::string what = error.what();
          auto failure = Napi::Object::New(here);
          failure.Set("errno", -error.code().value());
          failure.Set("syscall", what.substr(0, what.find(':')));
          opened.Call({failure, here.Undefined()});
          return;
        }
        const Napi::Object socket = classes->socket.New({Napi::External<New>::New(here, &args), info[3], info[4]});
        opened.Call({here.Undefined(), socket});
      }));
}

LogSocketWrap::LogSocketWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 3 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a LogSocket comes from openLogSocket()");
  }
  auto* args = info[0].As<Napi::External<New>>().Data();
  classes_ = args->classes;
  instance_ = args->instance;
  info.This().As<Napi::Object>().Set("receiveBuffer", args->link->receive_buffer());
  on_requests_ = Napi::Persistent(info[1].As<Napi::Function>());
  on_trouble_ = Napi::Persistent(info[2].As<Napi::Function>());
  receiver_ = std::make_unique<clog::Receiver>(std::move(args->link));
  poll_.emplace(instance_, receiver_->fd(), [this](int) { OnReceiver(); });
  poll_->Ref();
  instance_->Add(this);
  Ref();
}

LogSocketWrap::~LogSocketWrap() {
  Teardown();
}

void LogSocketWrap::Teardown() noexcept {
  if (!receiver_) return;
  instance_->Remove(this);
  poll_.reset();
  receiver_.reset();
  Forget(on_requests_);
  Forget(on_trouble_);
  Forget(on_closed_);
}

void LogSocketWrap::OnReceiver() {
  const clog::Taken taken = receiver_->Take();
  const Napi::Env env = Env();
  EnterJs(env, [&] {
    const Napi::Value self = Value();
    if (!closing_ && !taken.troubles.empty()) {
      for (const clog::Trouble& trouble : taken.troubles) {
        if (!closing_) on_trouble_.Value().MakeCallback(self, {Describe(env, trouble)});
      }
    }
    if (!closing_ && !taken.packets.empty()) {
      on_requests_.Value().MakeCallback(self, {Describe(env, taken.packets)});
    }
    if (!taken.ended || !receiver_) return;
    // without a call of close() there is nobody to tell: the trouble has said it
    if (!closing_) {
      poll_.reset();
      return;
    }
    const auto closed = on_closed_.IsEmpty() ? env.Undefined() : Napi::Value(on_closed_.Value());
    Teardown();
    Unref();
    if (closed.IsFunction()) closed.As<Napi::Function>().MakeCallback(self, {});
  });
}

Napi::Value LogSocketWrap::Reply(const Napi::CallbackInfo& info) {
  const auto datagram = info[0].As<Napi::Uint8Array>();
  if (!receiver_) return Napi::Number::New(info.Env(), -EBADF);
  const int error = receiver_->Reply(datagram.Data(), datagram.ByteLength(), info[1].As<Napi::Number>().Uint32Value(),
                                     info[2].As<Napi::Number>().DoubleValue());
  return Napi::Number::New(info.Env(), -error);
}

// attach(uuid, luid, seed, regions)
void LogSocketWrap::Attach(const Napi::CallbackInfo& info) {
  auto regions = RegionsWrap::Share(classes_->regions, info[3]);
  if (!receiver_) return;
  receiver_->Attach(info[0].As<Napi::String>().Utf8Value(), LuidOf(info[1]), info[2].As<Napi::Boolean>().Value(),
                    std::move(regions));
}

void LogSocketWrap::Detach(const Napi::CallbackInfo& info) {
  if (receiver_) receiver_->Detach(info[0].As<Napi::String>().Utf8Value(), LuidOf(info[1]));
}

Napi::Value LogSocketWrap::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  static const clog::Statistics kNone;
  const clog::Statistics& all = receiver_ ? receiver_->statistics() : kNone;
  auto out = Napi::Object::New(env);
  out.Set("received", Number(env, all.received));
  out.Set("fast", Number(env, all.fast));
  out.Set("slow", Number(env, all.slow));
  out.Set("replies", Number(env, all.replies));
  out.Set("dropped", Number(env, all.dropped));
  out.Set("overruns", Number(env, all.overruns));
  auto latency = Napi::Array::New(env, clog::kTypeSlots);
  auto longest = Napi::Array::New(env, clog::kTypeSlots);
  for (uint32_t type = 0; type < clog::kTypeSlots; ++type) {
    auto buckets = Napi::Array::New(env, clog::kBuckets);
    for (uint32_t i = 0; i < clog::kBuckets; ++i) buckets.Set(i, Number(env, all.latency[type][i]));
    latency.Set(type, buckets);
    longest.Set(type, Number(env, all.longest[type]));
  }
  out.Set("latency", latency);
  out.Set("longest", longest);
  return out;
}

// setRef(on): whether an open socket keeps the process alive; at first it does
void LogSocketWrap::SetRef(const Napi::CallbackInfo& info) {
  if (!poll_) return;
  if (info[0].As<Napi::Boolean>().Value()) {
    poll_->Ref();
  } else {
    poll_->Unref();
  }
}

// close(closed?)
void LogSocketWrap::Close(const Napi::CallbackInfo& info) {
  if (!receiver_ || closing_) return;
  closing_ = true;
  if (info[0].IsFunction()) on_closed_ = Napi::Persistent(info[0].As<Napi::Function>());
  if (!poll_) poll_.emplace(instance_, receiver_->fd(), [this](int) { OnReceiver(); });
  poll_->Ref();
  receiver_->Close();
}

}  // namespace clusterlock::napi
