#include "napi/regions_wrap.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "napi/errors.h"

namespace clusterlock::napi {
namespace {

// drivers/md/dm-log.c: create_log_context() takes no more
constexpr double kRegionsMax = 0xffffffff;

Napi::Array Numbers(Napi::Env env, const std::vector<uint32_t>& pages) {
  auto out = Napi::Array::New(env, pages.size());
  for (uint32_t i = 0; i < pages.size(); ++i) out.Set(i, pages[i]);
  return out;
}

uint8_t* PageBytes(const Napi::Value& value) {
  if (value.IsTypedArray()) {
    auto array = value.As<Napi::Uint8Array>();
    if (array.TypedArrayType() == napi_uint8_array && array.ByteLength() >= clog::kPageSize) return array.Data();
  }
  throw Napi::TypeError::New(value.Env(), "a page is a Uint8Array of 4096 bytes");
}

}  // namespace

Napi::Function RegionsWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "LogRegions",
      {InstanceMethod<&RegionsWrap::IsClean>("isClean"), InstanceMethod<&RegionsWrap::InSync>("inSync"),
       InstanceMethod<&RegionsWrap::Mark>("mark"), InstanceMethod<&RegionsWrap::Clear>("clear"),
       InstanceMethod<&RegionsWrap::SetSync>("setSync"), InstanceMethod<&RegionsWrap::Counts>("counts"),
       InstanceMethod<&RegionsWrap::NextUnsynced>("nextUnsynced"), InstanceMethod<&RegionsWrap::Load>("load"),
       InstanceMethod<&RegionsWrap::Pending>("pending"), InstanceMethod<&RegionsWrap::Page>("page"),
       InstanceMethod<&RegionsWrap::Written>("written"), InstanceMethod<&RegionsWrap::BeginClears>("beginClears"),
       InstanceMethod<&RegionsWrap::CommitClears>("commitClears"),
       InstanceMethod<&RegionsWrap::AbandonClears>("abandonClears"),
       InstanceMethod<&RegionsWrap::StopClears>("stopClears"),
       InstanceMethod<&RegionsWrap::ClearsStopped>("clearsStopped"), InstanceMethod<&RegionsWrap::Close>("close")});
}

Napi::Value RegionsWrap::Open(const Napi::FunctionReference& constructor, const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double count = info[0].As<Napi::Number>().DoubleValue();
  if (!(count >= 1 && count <= kRegionsMax) || count != std::floor(count)) {
    throw Napi::RangeError::New(env, "a log has 1 to 2^32-1 regions");
  }
  const std::string path = info[2].IsString() ? info[2].As<Napi::String>().Utf8Value() : "";
  try {
    auto regions =
        std::make_shared<clog::Regions>(static_cast<uint64_t>(count), info[1].As<Napi::Boolean>().Value(), path);
    return constructor.New({Napi::External<std::shared_ptr<clog::Regions>>::New(env, &regions)});
  } catch (const std::system_error& error) {
    // what() is "SYSCALL: text"
    const std::string what = error.what();
    throw SystemError(env, error.code().value(), what.substr(0, what.find(':')).c_str());
  }
}

std::shared_ptr<clog::Regions> RegionsWrap::Share(const Napi::FunctionReference& constructor,
                                                  const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor.Value())) {
    throw Napi::TypeError::New(value.Env(), "regions come from openRegions()");
  }
  RegionsWrap* self = Unwrap(value.As<Napi::Object>());
  self->regions();
  return self->regions_;
}

RegionsWrap::RegionsWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "regions come from openRegions()");
  }
  regions_ = *info[0].As<Napi::External<std::shared_ptr<clog::Regions>>>().Data();
  const Napi::Object self = info.This().As<Napi::Object>();
  self.Set("count", static_cast<double>(regions_->count()));
  self.Set("restored", regions_->restored());
  self.Set("pages", static_cast<double>(regions_->pages()));
}

clog::Regions& RegionsWrap::regions() {
  if (!regions_) throw Napi::Error::New(Env(), "these regions are closed");
  return *regions_;
}

// Of what is no region, one that is not there.
uint64_t RegionsWrap::RegionOf(const Napi::Value& value) {
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= 0 && number <= kRegionsMax && number == std::floor(number) ? static_cast<uint64_t>(number)
                                                                              : regions().count();
}

Napi::Value RegionsWrap::IsClean(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), regions().IsClean(RegionOf(info[0])));
}

Napi::Value RegionsWrap::InSync(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), regions().InSync(RegionOf(info[0])));
}

void RegionsWrap::Mark(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) regions().Mark(RegionOf(list.Get(i)));
}

void RegionsWrap::Clear(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) regions().Clear(RegionOf(list.Get(i)));
}

void RegionsWrap::SetSync(const Napi::CallbackInfo& info) {
  regions().SetSync(RegionOf(info[0]), info[1].As<Napi::Boolean>().Value());
}

Napi::Value RegionsWrap::Counts(const Napi::CallbackInfo& info) {
  const clog::Counts counts = regions().Count();
  auto out = Napi::Object::New(info.Env());
  out.Set("inSync", static_cast<double>(counts.in_sync));
  out.Set("marked", static_cast<double>(counts.marked));
  out.Set("clean", static_cast<double>(counts.on_disk));
  return out;
}

Napi::Value RegionsWrap::NextUnsynced(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(regions().NextUnsynced(RegionOf(info[0]))));
}

// load(bits, valid, rest, also?)
void RegionsWrap::Load(const Napi::CallbackInfo& info) {
  const auto bits = info[0].As<Napi::Uint8Array>();
  const double valid = info[1].As<Napi::Number>().DoubleValue();
  if (!(valid >= 0)) throw Napi::RangeError::New(info.Env(), "the number of valid regions is negative");
  std::shared_ptr<clog::Regions> also;
  if (info[3].IsObject()) {
    RegionsWrap* other = Unwrap(info[3].As<Napi::Object>());
    other->regions();
    also = other->regions_;
  }
  const double bounded = std::min(valid, static_cast<double>(regions().count()));
  regions().Load(bits.Data(), bits.ByteLength(), static_cast<uint64_t>(bounded), info[2].As<Napi::Boolean>().Value(),
                 also.get());
}

Napi::Value RegionsWrap::Pending(const Napi::CallbackInfo& info) {
  return Numbers(info.Env(), regions().Pending());
}

void RegionsWrap::Page(const Napi::CallbackInfo& info) {
  regions().Page(info[0].As<Napi::Number>().Uint32Value(), PageBytes(info[1]));
}

void RegionsWrap::Written(const Napi::CallbackInfo& info) {
  regions().Written(info[0].As<Napi::Number>().Uint32Value(), PageBytes(info[1]));
}

Napi::Value RegionsWrap::BeginClears(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(regions().BeginClears()));
}

Napi::Value RegionsWrap::CommitClears(const Napi::CallbackInfo& info) {
  return Numbers(info.Env(), regions().CommitClears());
}

void RegionsWrap::AbandonClears(const Napi::CallbackInfo&) {
  regions().AbandonClears();
}

void RegionsWrap::StopClears(const Napi::CallbackInfo&) {
  regions().StopClears();
}

Napi::Value RegionsWrap::ClearsStopped(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), regions().ClearsStopped());
}

void RegionsWrap::Close(const Napi::CallbackInfo&) {
  regions_.reset();
}

}  // namespace clusterlock::napi
