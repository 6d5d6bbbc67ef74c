// The lock manager inside the double: resources, queues, value blocks. Not thread-safe; the double locks around it.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dlm/abi.h"

namespace clusterlock::testing {

using Lvb = std::array<char, dlm::kLvbSize>;

// One handle's end of the wire: takes finished results.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  virtual void Deliver(std::vector<uint8_t> result) = 0;
};

struct ModelLock {
  uint32_t id = 0;
  std::string resource;
  std::shared_ptr<ResultSink> owner;
  int granted = -1;    // DLM_LOCK_*, -1 = none yet
  int requested = -1;  // -1 = nothing pending
  uint32_t flags = 0;
  bool has_lvb = false;
  Lvb lvb{};
  int told = -1;             // highest mode a blocking notice was sent for since the last grant
  dlm_lock_params params{};  // last: it ends in a flexible array
};

struct ModelResource {
  std::list<std::shared_ptr<ModelLock>> granted, converting, waiting;
  bool has_lvb = false;
  bool lvb_invalid = false;
  Lvb lvb{};
};

class LockModel {
 public:
  // What write(2) would return; -errno on failure.
  long Lock(const std::shared_ptr<ResultSink>& owner, const dlm_lock_params& params, const std::string& name);
  long Convert(const dlm_lock_params& params);
  long Unlock(const dlm_lock_params& params);
  long DeadlockCancel(const dlm_lock_params& params);
  // Where the lock wants its notices now; null: nowhere.
  void* BastAddress(uint32_t id) const;
  void DropOwner(const std::shared_ptr<ResultSink>& owner);
  size_t size() const { return locks_.size(); }

 private:
  using LockPtr = std::shared_ptr<ModelLock>;
  bool CanGrant(const ModelResource& resource, const ModelLock& lock, bool queue_ahead) const;
  void Grant(ModelResource& resource, const LockPtr& lock);
  void GrantPending(ModelResource& resource);
  void Notify(ModelResource& resource, const ModelLock& wants);
  void Cast(const ModelLock& lock, int status, int sb_flags, bool with_lvb);
  long Cancel(const LockPtr& lock, int status);
  void WriteOnUnlock(ModelResource& resource, const ModelLock& lock);
  void Drop(const LockPtr& lock);
  LockPtr Find(uint32_t id) const;

  std::map<std::string, ModelResource> resources_;
  std::map<uint32_t, LockPtr> locks_;
  uint32_t next_id_ = 1;
};

}  // namespace clusterlock::testing
