#include "napi/instance.h"

#include <system_error>
#include <utility>

namespace clusterlock::napi {

struct Poll::Handle {
  uv_poll_t uv{};
  Callback callback;
  std::shared_ptr<Instance> instance;
  int events = 0;
};

Poll::Poll(std::shared_ptr<Instance> instance, int fd, Callback callback) : handle_(new Handle) {
  handle_->callback = std::move(callback);
  handle_->instance = std::move(instance);
  handle_->uv.data = handle_;
  const int error = uv_poll_init(handle_->instance->loop(), &handle_->uv, fd);
  if (error != 0) {
    delete std::exchange(handle_, nullptr);
    throw std::system_error(-error, std::generic_category(), "uv_poll_init");
  }
  handle_->instance->HandleOpened();
  uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->uv));
  WantWritable(false);
}

Poll::~Poll() {
  if (handle_ == nullptr) return;
  // Takes the descriptor out of the loop's epoll set at once; only the memory waits for the loop.
  uv_poll_stop(&handle_->uv);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->uv), [](uv_handle_t* uv) {
    const std::unique_ptr<Handle> handle(static_cast<Handle*>(uv->data));
    handle->instance->HandleClosed();
  });
}

void Poll::WantWritable(bool on) {
  const int events = UV_READABLE | (on ? UV_WRITABLE : 0);
  if (std::exchange(handle_->events, events) == events) return;
  uv_poll_start(&handle_->uv, events, [](uv_poll_t* uv, int status, int) {
    const auto* handle = static_cast<Handle*>(uv->data);
    const Callback call = handle->callback;  // the call may end the handle's owner
    call(status);
  });
}

void Poll::Ref() {
  uv_ref(reinterpret_cast<uv_handle_t*>(&handle_->uv));
}
void Poll::Unref() {
  uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->uv));
}

std::shared_ptr<Instance> Instance::Create(Napi::Env env) {
  auto instance = std::make_shared<Instance>();
  napi_get_uv_event_loop(env, &instance->loop_);
  instance->self_ = instance;
  napi_add_async_cleanup_hook(env, OnCleanup, instance.get(), &instance->hook_);
  return instance;
}

void Instance::OnCleanup(napi_async_cleanup_hook_handle hook, void* self) {
  auto* instance = static_cast<Instance*>(self);
  instance->hook_ = hook;
  instance->ending_ = true;
  while (!instance->open_.empty()) {
    Closable* closable = *instance->open_.begin();
    instance->open_.erase(closable);
    closable->Teardown();
  }
  instance->MaybeFinish();
}

void Instance::HandleClosed() {
  --handles_;
  MaybeFinish();
}

void Instance::MaybeFinish() {
  if (!ending_ || handles_ != 0 || !self_) return;
  const std::shared_ptr<Instance> last = std::move(self_);
  napi_remove_async_cleanup_hook(hook_);
}

void EnterJs(Napi::Env env, const std::function<void()>& body) {
  const Napi::HandleScope scope(env);
  try {
    body();
  } catch (const Napi::Error& error) {
    if (!error.IsEmpty()) napi_fatal_exception(env, error.Value());
  }
}

}  // namespace clusterlock::napi
