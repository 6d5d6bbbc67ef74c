#include "napi/opener_wrap.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "napi/errors.h"
#include "napi/file_wrap.h"
#include "sys/packets.h"
#include "sys/thread.h"

namespace clusterlock::napi {
namespace {

using dlmfs::Op;

constexpr size_t kBatch = 256;  // a bound on one wake-up, so that a busy opener cannot starve the loop

// In the order of dlmfs::Op; cancelling has a method of its own.
constexpr std::array<std::string_view, dlmfs::kOps - 1> kOpNames{"acquire", "sidecar", "mkdir", "restore", "rmdir",
                                                                 "unlink",  "create",  "list",  "stat",    "status"};

std::string Text(const Napi::Object& from, const char* key) {
  const Napi::Value value = from.Get(key);
  if (value.IsUndefined()) return {};
  if (!value.IsString()) throw Napi::TypeError::New(from.Env(), std::string(key) + " is a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.size() > dlmfs::kTextMax || text.find('\0') != std::string::npos) {
    throw Napi::RangeError::New(from.Env(), std::string(key) + " has at most 4096 bytes, and none is 0");
  }
  return text;
}

uint32_t Number(const Napi::Object& from, const char* key, uint32_t absent) {
  const Napi::Value value = from.Get(key);
  return value.IsUndefined() ? absent : value.ToNumber().Uint32Value();
}

Op OpOf(const Napi::Object& from) {
  const std::string name = from.Get("op").ToString();
  const auto* const found = std::find(kOpNames.begin(), kOpNames.end(), name);
  if (found == kOpNames.end()) throw Napi::TypeError::New(from.Env(), "an opener cannot " + name);
  return static_cast<Op>(found - kOpNames.begin());
}

dlmfs::Request ReadRequest(uint32_t id, const Napi::Object& from) {
  dlmfs::Request out;
  out.id = id;
  out.op = OpOf(from);
  const uint32_t range = Number(from, "range", 0);
  if (range >= dlmfs::kRangeTypes) throw Napi::RangeError::New(from.Env(), "range is 0, 1 or 2");
  out.range = static_cast<dlmfs::RangeType>(range);
  out.flags = static_cast<int32_t>(Number(from, "flags", 0));
  out.mode = Number(from, "mode", dlmfs::kLeave);
  out.uid = Number(from, "uid", dlmfs::kLeave);
  out.gid = Number(from, "gid", dlmfs::kLeave);
  out.path = Text(from, "path");
  out.name = Text(from, "name");
  out.sidecar_path = Text(from, "sidecarPath");
  out.gate_path = Text(from, "gatePath");
  out.name_path = Text(from, "namePath");
  out.name_lock_path = Text(from, "nameLockPath");
  return out;
}

Napi::Object Describe(Napi::Env env, const dlmfs::FileStat& stat) {
  auto out = Napi::Object::New(env);
  out.Set("dev", static_cast<double>(stat.dev));
  out.Set("ino", static_cast<double>(stat.ino));
  out.Set("mode", stat.mode);
  out.Set("uid", stat.uid);
  out.Set("gid", stat.gid);
  return out;
}

Napi::Object Describe(Napi::Env env, const dlmfs::TaskStatus& status) {
  auto out = Napi::Object::New(env);
  out.Set("id", status.id);
  out.Set("phase", status.phase == dlmfs::Phase::kLocal ? "local" : "kernel");
  out.Set("tid", status.tid);
  out.Set("ms", static_cast<double>(status.ms));
  return out;
}

template <typename T>
void MoveAll(std::vector<T>& from, std::vector<T>& to) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

Napi::Function OpenerWrap::Define(Napi::Env env) {
  return DefineClass(env, "DlmfsOpener",
                     {InstanceMethod<&OpenerWrap::Request>("request"), InstanceMethod<&OpenerWrap::Cancel>("cancel"),
                      InstanceMethod<&OpenerWrap::SetRef>("setRef"), InstanceMethod<&OpenerWrap::Close>("close")});
}

Napi::Object OpenerWrap::New(const Napi::FunctionReference& constructor, Parts parts) {
  return constructor.New({Napi::External<Parts>::New(constructor.Env(), &parts)});
}

OpenerWrap::OpenerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a DlmfsOpener comes from startOpener()");
  }
  auto* parts = info[0].As<Napi::External<Parts>>().Data();
  instance_ = parts->instance;
  socket_ = std::move(parts->opener.socket);
  pulse_ = std::move(parts->opener.pulse);
  files_ = parts->files;
  try {
    socket_poll_.emplace(instance_, socket_.get(), [this](int) { OnSocket(); });
    pulse_poll_.emplace(instance_, pulse_.get(), [this](int) { OnPulse(); });
  } catch (const std::system_error& error) {
    socket_poll_.reset();
    throw SystemError(info.Env(), error.code().value(), "uv_poll_init");
  }
  on_events_ = Napi::Persistent(parts->on_events);
  on_end_ = Napi::Persistent(parts->on_end);
  info.This().As<Napi::Object>().Set("pid", static_cast<double>(parts->opener.pid));
  instance_->Add(this);
  Ref();
}

OpenerWrap::~OpenerWrap() {
  Teardown();
}

void OpenerWrap::Teardown() noexcept {
  if (!socket_poll_) return;
  instance_->Remove(this);
  socket_poll_.reset();
  pulse_poll_.reset();
  unsent_.clear();
  // The opener ends. What it has answered and nobody fetched is closed by the kernel with this end.
  socket_.Close();
  pulse_.Close();
  Forget(on_events_);
  Forget(on_end_);
}

// request(id, request)
void OpenerWrap::Request(const Napi::CallbackInfo& info) {
  const auto from = info[1].As<Napi::Object>();
  const dlmfs::Request request = ReadRequest(info[0].As<Napi::Number>().Uint32Value(), from);
  const Napi::Value sidecar = from.Get("sidecar");
  // last: reading an object can run anything
  if (!socket_poll_) throw Napi::Error::New(info.Env(), "the opener is closed");
  Send(request, sidecar.IsUndefined() ? nullptr : FileWrap::Share(*files_, sidecar));
}

// cancel(id)
void OpenerWrap::Cancel(const Napi::CallbackInfo& info) {
  if (!socket_poll_) return;
  dlmfs::Request request;
  request.id = info[0].As<Napi::Number>().Uint32Value();
  request.op = Op::kCancel;
  Send(request, nullptr);
}

// setRef(on): whether the opener keeps the process alive; at first it does not
void OpenerWrap::SetRef(const Napi::CallbackInfo& info) {
  if (!socket_poll_) return;
  if (info[0].As<Napi::Boolean>().Value()) {
    socket_poll_->Ref();
  } else {
    socket_poll_->Unref();
  }
}

void OpenerWrap::Close(const Napi::CallbackInfo&) {
  if (!socket_poll_) return;
  Teardown();
  Unref();
}

void OpenerWrap::Send(const dlmfs::Request& request, std::shared_ptr<sys::UniqueFd> passed) {
  unsent_.push_back({Encode(request), std::move(passed)});
  Flush();
}

// What does not fit now goes when there is room again, in order.
void OpenerWrap::Flush() {
  while (!unsent_.empty()) {
    const Unsent& first = unsent_.front();
    const int fd = first.passed ? first.passed->get() : -1;
    const int error = sys::SendPacket(socket_.get(), first.bytes.data(), first.bytes.size(), fd, sys::Wait::kNo);
    if (error == -EAGAIN || error == -ETOOMANYREFS) break;
    unsent_.pop_front();  // any other failure means that the opener is gone, which its pulse tells
  }
  socket_poll_->WantWritable(!unsent_.empty());
}

std::vector<OpenerWrap::Answer> OpenerWrap::Receive(size_t limit) {
  std::vector<Answer> out;
  std::vector<uint8_t> buffer(dlmfs::kPacketMax);
  while (out.size() < limit) {
    sys::Received received = sys::ReceivePacket(socket_.get(), buffer.data(), buffer.size(), sys::Wait::kNo);
    if (received.error == EMSGSIZE) continue;
    ended_ = ended_ || (received.error == 0 ? received.size == 0 : received.error != EAGAIN);
    if (received.error != 0 || received.size == 0) break;
    auto reply = dlmfs::DecodeReply(buffer.data(), received.size);
    if (!reply) continue;
    if (auto answer = Complete({std::move(*reply), std::move(received.passed)})) out.push_back(std::move(*answer));
  }
  return out;
}

std::optional<OpenerWrap::Answer> OpenerWrap::Complete(Answer answer) {
  dlmfs::Reply& reply = answer.reply;
  if (reply.kind == dlmfs::ReplyKind::kPart) {
    Parted& before = parted_[reply.id];
    MoveAll(reply.names, before.names);
    MoveAll(reply.status, before.status);
    return std::nullopt;
  }
  if (auto before = parted_.extract(reply.id)) {
    MoveAll(reply.names, before.mapped().names);
    MoveAll(reply.status, before.mapped().status);
    reply.names = std::move(before.mapped().names);
    reply.status = std::move(before.mapped().status);
  }
  // No room in our table: the kernel has closed it.
  if (reply.file && !answer.file.valid()) {
    reply.error = EMFILE;
    reply.syscall = "recvmsg";
  }
  return answer;
}

void OpenerWrap::OnSocket() {
  Flush();
  Deliver(Receive(kBatch));
  if (socket_poll_ && ended_) End();
}

// The opener is gone, though a thread of it that the kernel does not let go may still have its end of the socket.
void OpenerWrap::OnPulse() {
  for (;;) {
    std::vector<Answer> answers = Receive(kBatch);  // what it has said before
    if (answers.empty()) break;
    Deliver(std::move(answers));
    if (!socket_poll_) return;  // a callback has closed it
  }
  End();
}

void OpenerWrap::End() {
  EnterJs(Env(), [&] {
    const Napi::Function on_end = on_end_.Value();
    const Napi::Value self = Value();
    Teardown();
    Unref();
    on_end.MakeCallback(self, {});
  });
}

Napi::Object OpenerWrap::Describe(Napi::Env env, Answer answer) {
  const dlmfs::Reply& reply = answer.reply;
  auto out = Napi::Object::New(env);
  out.Set("id", reply.id);
  out.Set("kind", reply.kind == dlmfs::ReplyKind::kPhase ? "phase" : "done");
  out.Set("errno", -reply.error);
  out.Set("syscall", reply.syscall);
  out.Set("value", static_cast<double>(reply.value));
  if (answer.file.valid()) out.Set("file", FileWrap::New(*files_, instance_, std::move(answer.file)));
  if (reply.stat) out.Set("stat", clusterlock::napi::Describe(env, *reply.stat));
  if (reply.kind == dlmfs::ReplyKind::kPhase || reply.error != 0) return out;
  const auto list = [&](const char* key, const auto& items, const auto& describe) {
    auto array = Napi::Array::New(env, items.size());
    for (uint32_t i = 0; i < items.size(); ++i) array.Set(i, describe(items[i]));
    out.Set(key, array);
  };
  list("names", reply.names, [&](const std::string& name) { return Napi::String::New(env, name); });
  list("status", reply.status,
       [&](const dlmfs::TaskStatus& status) { return clusterlock::napi::Describe(env, status); });
  return out;
}

void OpenerWrap::Deliver(std::vector<Answer> answers) {
  if (answers.empty()) return;
  const Napi::Env env = Env();
  EnterJs(env, [&] {
    auto events = Napi::Array::New(env, answers.size());
    for (uint32_t i = 0; i < answers.size(); ++i) events.Set(i, Describe(env, std::move(answers[i])));
    const Napi::Function on_events = on_events_.Value();
    on_events.MakeCallback(Value(), {events});
  });
}

OpenerControl::OpenerControl(Napi::Env env, std::shared_ptr<Instance> instance)
    : env_(env),
      instance_(std::move(instance)),
      files_(Napi::Persistent(FileWrap::Define(env))),
      openers_(Napi::Persistent(OpenerWrap::Define(env))) {
  instance_->Add(this);
}

OpenerControl::~OpenerControl() {
  Teardown();
}

void OpenerControl::Teardown() noexcept {
  if (std::exchange(ended_, true)) return;
  instance_->Remove(this);
  poll_.reset();
  for (auto& [_, call] : calls_) {
    Forget(call.started);
    Forget(call.on_events);
    Forget(call.on_end);
  }
  calls_.clear();
  Forget(openers_);
  Forget(files_);
  if (inbox_) inbox_->Close();  // an opener that comes too late sees that nobody is there, and ends
}

// startOpener(executable, isolation, started: (failure?, opener?) => void, onEvents, onEnd)
Napi::Value OpenerControl::Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (ended_ || !instance_->alive()) throw Napi::Error::New(env, "the environment is ending");
  const std::string executable = info[0].As<Napi::String>();
  const bool own_process = info[1].As<Napi::String>().Utf8Value() != "thread";
  if (!poll_) {
    try {
      inbox_ = std::make_shared<Inbox>();
      poll_.emplace(instance_, inbox_->fd(), [this](int) { OnMail(); });
    } catch (const std::system_error& error) {
      throw SystemError(env, error.code().value(), "eventfd");
    }
  }
  const uint32_t call = next_call_++;
  const auto function = [&](size_t index) { return Napi::Persistent(info[index].As<Napi::Function>()); };
  calls_.emplace(call, Call{function(2), function(3), function(4)});
  poll_->Ref();
  try {
    sys::Detach([inbox = inbox_, executable, own_process, call] {
      inbox->Post({call, own_process ? dlmfs::StartOpenerProcess(executable) : dlmfs::StartOpenerThread()});
    });
  } catch (const std::system_error& error) {
    Done done{call, {}};
    done.opener.error = error.code().value();
    done.opener.syscall = "pthread_create";
    inbox_->Post(std::move(done));
  }
  return env.Undefined();
}

void OpenerControl::OnMail() {
  for (Done& done : inbox_->Take()) {
    if (!poll_) return;  // a callback ended the environment
    Finish(std::move(done));
  }
}

void OpenerControl::Finish(Done done) {
  auto call = calls_.extract(done.call);
  if (calls_.empty()) poll_->Unref();
  if (!call) return;
  EnterJs(env_, [&] {
    const Call& functions = call.mapped();
    const Napi::Value none = env_.Undefined();
    Napi::Value failure = none, opener = none;
    if (done.opener.error != 0) {
      auto out = Napi::Object::New(env_);
      out.Set("errno", -done.opener.error);
      out.Set("syscall", done.opener.syscall);
      failure = out;
    } else {
      opener = OpenerWrap::New(openers_, {instance_, std::move(done.opener), &files_, functions.on_events.Value(),
                                          functions.on_end.Value()});
    }
    functions.started.MakeCallback(env_.Global(), {failure, opener});
  });
}

}  // namespace clusterlock::napi
