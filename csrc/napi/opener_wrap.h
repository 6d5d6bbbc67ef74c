// An opener for JavaScript: requests go down as packets, which never wait, and answers come up in batches.
#pragma once

#include <napi.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dlmfs/opener_process.h"
#include "dlmfs/packet.h"
#include "napi/instance.h"
#include "sys/mailbox.h"
#include "sys/unique_fd.h"

namespace clusterlock::napi {

class OpenerWrap final : public Napi::ObjectWrap<OpenerWrap>, public Closable {
 public:
  struct Parts {
    std::shared_ptr<Instance> instance;
    dlmfs::StartedOpener opener;
    const Napi::FunctionReference* files;  // the constructor of FileWrap
    Napi::Function on_events;
    Napi::Function on_end;
  };

  // The constructor function; kept by the addon.
  static Napi::Function Define(Napi::Env env);
  // Throws Napi::Error.
  static Napi::Object New(const Napi::FunctionReference& constructor, Parts parts);

  explicit OpenerWrap(const Napi::CallbackInfo& info);
  ~OpenerWrap() override;

  void Teardown() noexcept override;

 private:
  struct Unsent {
    std::vector<uint8_t> bytes;
    std::shared_ptr<sys::UniqueFd> passed;
  };
  // An answer that came in several packets.
  struct Parted {
    std::vector<std::string> names;
    std::vector<dlmfs::TaskStatus> status;
  };
  struct Answer {
    dlmfs::Reply reply;
    sys::UniqueFd file;
  };

  void Request(const Napi::CallbackInfo& info);
  void Cancel(const Napi::CallbackInfo& info);
  void SetRef(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void Send(const dlmfs::Request& request, std::shared_ptr<sys::UniqueFd> passed);
  void Flush();
  void OnSocket();
  void OnPulse();
  void End();
  std::vector<Answer> Receive(size_t limit);
  std::optional<Answer> Complete(Answer answer);
  Napi::Object Describe(Napi::Env env, Answer answer);
  void Deliver(std::vector<Answer> answers);

  std::shared_ptr<Instance> instance_;
  sys::UniqueFd socket_;
  sys::UniqueFd pulse_;
  std::optional<Poll> socket_poll_;  // after the descriptors: their end comes first
  std::optional<Poll> pulse_poll_;
  std::deque<Unsent> unsent_;
  std::map<uint32_t, Parted> parted_;
  bool ended_ = false;
  const Napi::FunctionReference* files_ = nullptr;
  Napi::FunctionReference on_events_;
  Napi::FunctionReference on_end_;
};

// startOpener() for JavaScript.
class OpenerControl final : public Closable {
 public:
  OpenerControl(Napi::Env env, std::shared_ptr<Instance> instance);
  ~OpenerControl() override;

  Napi::Value Start(const Napi::CallbackInfo& info);

  void Teardown() noexcept override;

 private:
  struct Call {
    Napi::FunctionReference started;
    Napi::FunctionReference on_events;
    Napi::FunctionReference on_end;
  };
  struct Done {
    uint32_t call = 0;
    dlmfs::StartedOpener opener;
  };
  using Inbox = sys::Mailbox<Done>;

  void OnMail();
  void Finish(Done done);

  Napi::Env env_;
  std::shared_ptr<Instance> instance_;
  Napi::FunctionReference files_;
  Napi::FunctionReference openers_;
  std::shared_ptr<Inbox> inbox_;  // since the first call
  std::optional<Poll> poll_;
  std::map<uint32_t, Call> calls_;
  uint32_t next_call_ = 0;
  bool ended_ = false;
};

}  // namespace clusterlock::napi
