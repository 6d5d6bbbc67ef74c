#include "double/double_model.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterlock::testing {
namespace {

constexpr bool kCompatible[6][6] = {{1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 0}, {1, 1, 1, 0, 0, 0},
                                    {1, 1, 0, 1, 0, 0}, {1, 1, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}};
// Row 0: new lock. 1 reads, 0 writes, -1 does neither.
constexpr int kLvbOperations[7][6] = {{1, 1, 1, 1, 1, 1},   {1, 1, 1, 1, 1, 1},    {-1, 1, 1, 1, 1, 1},
                                      {-1, -1, 1, 1, 1, 1}, {-1, -1, -1, 1, 1, 1}, {0, 0, 0, 0, 0, 1},
                                      {0, 0, 0, 0, 0, 0}};

void Remove(std::list<std::shared_ptr<ModelLock>>& queue, const std::shared_ptr<ModelLock>& lock) {
  queue.remove(lock);
}

}  // namespace

void LockModel::Cast(const ModelLock& lock, int status, int sb_flags, bool with_lvb) {
  dlm_lock_result result{};
  result.user_astaddr = lock.params.castaddr;
  result.user_astparam = lock.params.castparam;
  result.user_lksb = lock.params.lksb;
  result.lksb.sb_status = status;
  result.lksb.sb_lkid = lock.id;
  result.lksb.sb_flags = static_cast<char>(sb_flags);
  result.length = with_lvb ? dlm::kResultLvbSize : dlm::kResultSize;
  result.lvb_offset = with_lvb ? dlm::kResultSize : 0;
  std::vector<uint8_t> bytes(result.length);
  std::memcpy(bytes.data(), &result, dlm::kResultSize);
  if (with_lvb) std::memcpy(bytes.data() + dlm::kResultSize, lock.lvb.data(), lock.lvb.size());
  lock.owner->Deliver(std::move(bytes));
}

void LockModel::Notify(ModelResource& resource, const ModelLock& wants) {
  for (const auto* queue : {&resource.granted, &resource.converting}) {
    for (const LockPtr& holder : *queue) {
      if (holder.get() == &wants || kCompatible[holder->granted][wants.requested]) continue;
      if (holder->params.bastaddr == nullptr || holder->told >= wants.requested) continue;
      holder->told = wants.requested;
      dlm_lock_result result{};
      result.length = dlm::kResultSize;
      result.user_astaddr = holder->params.bastaddr;
      result.user_astparam = holder->params.bastparam;
      result.lksb.sb_lkid = holder->id;
      result.bast_mode = static_cast<uint8_t>(wants.requested);
      std::vector<uint8_t> bytes(dlm::kResultSize);
      std::memcpy(bytes.data(), &result, dlm::kResultSize);
      holder->owner->Deliver(std::move(bytes));
    }
  }
}

bool LockModel::CanGrant(const ModelResource& resource, const ModelLock& lock, bool queue_ahead) const {
  if (queue_ahead && lock.granted < 0) return false;
  for (const auto* queue : {&resource.granted, &resource.converting}) {
    for (const LockPtr& other : *queue) {
      if (other.get() != &lock && !kCompatible[other->granted][lock.requested]) return false;
    }
  }
  return true;
}

void LockModel::Grant(ModelResource& resource, const LockPtr& lock) {
  const int operation = kLvbOperations[lock->granted + 1][lock->requested];
  const bool value_block = (lock->flags & DLM_LKF_VALBLK) != 0;
  if (operation == 0 && (lock->flags & DLM_LKF_IVVALBLK) != 0) resource.lvb_invalid = true;
  if (operation == 1 && value_block && resource.has_lvb) lock->lvb = resource.lvb;
  if (operation == 0 && value_block && (lock->flags & DLM_LKF_IVVALBLK) == 0) {
    resource.lvb = lock->lvb;
    resource.has_lvb = true;
    resource.lvb_invalid = false;
  }
  Remove(resource.converting, lock);
  Remove(resource.waiting, lock);
  Remove(resource.granted, lock);
  lock->granted = lock->requested;
  lock->requested = -1;
  lock->told = -1;
  resource.granted.push_back(lock);
  const int sb_flags = value_block && resource.has_lvb && resource.lvb_invalid ? DLM_SBF_VALNOTVALID : 0;
  Cast(*lock, 0, sb_flags, lock->has_lvb && operation != 0);
}

void LockModel::GrantPending(ModelResource& resource) {
  const auto converting = resource.converting;
  for (const LockPtr& lock : converting) {
    if (CanGrant(resource, *lock, false)) Grant(resource, lock);
  }
  while (resource.converting.empty() && !resource.waiting.empty()) {
    const LockPtr next = resource.waiting.front();
    if (!CanGrant(resource, *next, false)) break;
    Grant(resource, next);
  }
  for (const auto* queue : {&resource.converting, &resource.waiting}) {
    for (const LockPtr& lock : *queue) Notify(resource, *lock);
  }
}

LockModel::LockPtr LockModel::Find(uint32_t id) const {
  const auto found = locks_.find(id);
  return found == locks_.end() ? nullptr : found->second;
}

long LockModel::Lock(const std::shared_ptr<ResultSink>& owner, const dlm_lock_params& params, const std::string& name) {
  if (params.mode > DLM_LOCK_EX || params.castaddr == nullptr || params.lksb == nullptr) return -EINVAL;
  auto lock = std::make_shared<ModelLock>();
  lock->id = next_id_++;
  lock->resource = name;
  lock->owner = owner;
  lock->requested = params.mode;
  lock->flags = params.flags;
  lock->params = params;
  lock->has_lvb = (params.flags & DLM_LKF_VALBLK) != 0;
  ModelResource& resource = resources_[name];
  const bool queue_ahead = !resource.converting.empty() || !resource.waiting.empty();
  if (CanGrant(resource, *lock, queue_ahead)) {
    locks_[lock->id] = lock;
    Grant(resource, lock);
  } else if ((params.flags & DLM_LKF_NOQUEUE) != 0) {
    Cast(*lock, -EAGAIN, 0, false);
  } else {
    locks_[lock->id] = lock;
    resource.waiting.push_back(lock);
    Notify(resource, *lock);
  }
  return lock->id;
}

long LockModel::Convert(const dlm_lock_params& params) {
  const LockPtr lock = Find(params.lkid);
  if (!lock) return -ENOENT;
  if (lock->requested >= 0) return -EBUSY;
  if ((params.flags & DLM_LKF_VALBLK) != 0) lock->has_lvb = true;
  if (lock->has_lvb) std::memcpy(lock->lvb.data(), params.lvb, sizeof params.lvb);
  lock->params = params;
  lock->flags = params.flags;
  lock->requested = params.mode;
  ModelResource& resource = resources_[lock->resource];
  if (CanGrant(resource, *lock, false)) {
    Grant(resource, lock);
    GrantPending(resource);
  } else if ((params.flags & DLM_LKF_NOQUEUE) != 0) {
    lock->requested = -1;
    Cast(*lock, -EAGAIN, 0, false);
  } else {
    Remove(resource.granted, lock);
    resource.converting.push_back(lock);
    Notify(resource, *lock);
  }
  return 0;
}

void LockModel::WriteOnUnlock(ModelResource& resource, const ModelLock& lock) {
  if (lock.granted < DLM_LOCK_PW) return;
  if ((lock.flags & DLM_LKF_IVVALBLK) != 0) {
    resource.lvb_invalid = true;
    return;
  }
  if (!lock.has_lvb || (lock.flags & DLM_LKF_VALBLK) == 0) return;
  resource.lvb = lock.lvb;
  resource.has_lvb = true;
  resource.lvb_invalid = false;
}

long LockModel::Cancel(const LockPtr& lock, int status) {
  if (!lock) return -ENOENT;
  if (lock->requested < 0) return 0;
  // A second cancel of one operation makes the kernel WARN; here it makes the test fail.
  if ((lock->flags & DLM_LKF_CANCEL) != 0) std::abort();
  ModelResource& resource = resources_[lock->resource];
  lock->requested = -1;
  if (lock->granted >= 0) {
    Remove(resource.converting, lock);
    resource.granted.push_back(lock);
    lock->flags |= DLM_LKF_CANCEL;
    Cast(*lock, status, 0, false);
    GrantPending(resource);
  } else {
    Cast(*lock, status, 0, false);
    Drop(lock);
  }
  return 0;
}

long LockModel::DeadlockCancel(const dlm_lock_params& params) {
  return Cancel(Find(params.lkid), -EDEADLK);
}

void* LockModel::BastAddress(uint32_t id) const {
  const LockPtr lock = Find(id);
  return lock ? lock->params.bastaddr : nullptr;
}

long LockModel::Unlock(const dlm_lock_params& params) {
  const LockPtr lock = Find(params.lkid);
  if ((params.flags & DLM_LKF_CANCEL) != 0) return Cancel(lock, -DLM_ECANCEL);
  if (!lock) return -ENOENT;
  ModelResource& resource = resources_[lock->resource];
  const bool force = (params.flags & DLM_LKF_FORCEUNLOCK) != 0;
  if (!force && lock->requested >= 0 && lock->granted >= 0) return -EBUSY;
  // so does a second unlock by force
  if (force && (lock->flags & DLM_LKF_FORCEUNLOCK) != 0) std::abort();
  if (lock->has_lvb) std::memcpy(lock->lvb.data(), params.lvb, sizeof params.lvb);
  lock->flags |= params.flags;
  WriteOnUnlock(resource, *lock);
  Cast(*lock, -DLM_EUNLOCK, 0, false);
  Drop(lock);
  return 0;
}

void LockModel::Drop(const LockPtr& lock) {
  ModelResource& resource = resources_[lock->resource];
  Remove(resource.granted, lock);
  Remove(resource.converting, lock);
  Remove(resource.waiting, lock);
  locks_.erase(lock->id);
  GrantPending(resource);
  // With the last lock the value goes too.
  if (resource.granted.empty() && resource.converting.empty() && resource.waiting.empty())
    resources_.erase(lock->resource);
}

void LockModel::DropOwner(const std::shared_ptr<ResultSink>& owner) {
  std::vector<LockPtr> mine;
  for (const auto& [id, lock] : locks_) {
    if (lock->owner == owner) mine.push_back(lock);
  }
  for (const LockPtr& lock : mine) {
    ModelResource& resource = resources_[lock->resource];
    if (lock->granted >= DLM_LOCK_PW && resource.has_lvb) resource.lvb_invalid = true;
    Drop(lock);
  }
}

}  // namespace clusterlock::testing
