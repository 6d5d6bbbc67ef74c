// What one Node environment (the main thread or a worker) has open, and its orderly end.
#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <set>

namespace clusterlock::napi {

// Something that must let go of the event loop when its environment ends.
class Closable {
 public:
  virtual ~Closable() = default;
  // On the loop's thread, while the environment still exists. May not run JavaScript.
  virtual void Teardown() noexcept = 0;
};

class Instance;

// A uv_poll_t, which outlives whoever opened it until the loop has let it go.
class Poll {
 public:
  using Callback = std::function<void(int status)>;
  Poll(std::shared_ptr<Instance> instance, int fd, Callback callback);  // throws std::system_error; starts unref'd
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  void Ref();
  void Unref();
  // Whether it is also called when the descriptor takes data; at first it is not.
  void WantWritable(bool on);

 private:
  struct Handle;
  Handle* handle_;
};

class Instance : public std::enable_shared_from_this<Instance> {
 public:
  static std::shared_ptr<Instance> Create(Napi::Env env);

  uv_loop_t* loop() const { return loop_; }
  // False once the environment has begun to end: nothing may be opened any more.
  bool alive() const { return !ending_; }

  void Add(Closable* closable) { open_.insert(closable); }
  void Remove(Closable* closable) { open_.erase(closable); }

 private:
  friend class Poll;
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* self);
  void HandleOpened() { ++handles_; }
  void HandleClosed();
  void MaybeFinish();

  uv_loop_t* loop_ = nullptr;
  std::set<Closable*> open_;
  int handles_ = 0;
  bool ending_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  std::shared_ptr<Instance> self_;  // until the cleanup hook is done
};

// Lets go of a reference at the end of an environment, where there is nobody left to throw to.
template <typename Reference>
void Forget(Reference& reference) noexcept {
  try {
    reference.Reset();
  } catch (const Napi::Error&) {
    reference.SuppressDestruct();
  }
}

// Runs `body`, which may call JavaScript, from a libuv callback. What it throws becomes an uncaught exception of the
// environment, but for the "cannot run JavaScript" of one that is being terminated.
void EnterJs(Napi::Env env, const std::function<void()>& body);

}  // namespace clusterlock::napi
