// The wire format of the DLM misc devices, taken from the kernel's own header and pinned byte by byte: a header that
// moves a field must break the build, not a lock. Source: include/uapi/linux/dlm_device.h, fs/dlm/user.c.
#pragma once

#include <linux/dlm.h>
#include <linux/dlm_device.h>
#include <linux/dlmconstants.h>

#include <cstddef>
#include <cstdint>

namespace clusterlock::dlm {

inline constexpr size_t kLvbSize = DLM_USER_LVB_LEN;
inline constexpr size_t kNameMax = DLM_RESNAME_MAXLEN;
inline constexpr size_t kLockspaceNameMax = DLM_LOCKSPACE_LEN;
inline constexpr size_t kRequestSize = sizeof(dlm_write_request);
inline constexpr size_t kRequestMax = kRequestSize + kNameMax;
inline constexpr size_t kResultSize = sizeof(dlm_lock_result);
inline constexpr size_t kResultLvbSize = kResultSize + kLvbSize;
inline constexpr size_t kVersionSize = sizeof(dlm_device_version);

static_assert(sizeof(void*) == 8, "only the 64-bit layout is spoken (is64bit = 1)");
static_assert(kLvbSize == 32 && kNameMax == 64 && kLockspaceNameMax == 64);

static_assert(sizeof(dlm_lksb) == 24);
static_assert(offsetof(dlm_lksb, sb_status) == 0 && offsetof(dlm_lksb, sb_lkid) == 4);
static_assert(offsetof(dlm_lksb, sb_flags) == 8 && offsetof(dlm_lksb, sb_lvbptr) == 16);

static_assert(kRequestSize == 120 && kRequestMax == 184);
static_assert(offsetof(dlm_write_request, version) == 0 && offsetof(dlm_write_request, cmd) == 12);
static_assert(offsetof(dlm_write_request, is64bit) == 13 && offsetof(dlm_write_request, i) == 16);

static_assert(sizeof(dlm_lock_params) == 104);
static_assert(offsetof(dlm_lock_params, mode) == 0 && offsetof(dlm_lock_params, namelen) == 1);
static_assert(offsetof(dlm_lock_params, flags) == 4 && offsetof(dlm_lock_params, lkid) == 8);
static_assert(offsetof(dlm_lock_params, parent) == 12 && offsetof(dlm_lock_params, xid) == 16);
static_assert(offsetof(dlm_lock_params, timeout) == 24 && offsetof(dlm_lock_params, castparam) == 32);
static_assert(offsetof(dlm_lock_params, castaddr) == 40 && offsetof(dlm_lock_params, bastparam) == 48);
static_assert(offsetof(dlm_lock_params, bastaddr) == 56 && offsetof(dlm_lock_params, lksb) == 64);
static_assert(offsetof(dlm_lock_params, lvb) == 72 && offsetof(dlm_lock_params, name) == 104);

static_assert(sizeof(dlm_lspace_params) == 8);
static_assert(offsetof(dlm_lspace_params, flags) == 0 && offsetof(dlm_lspace_params, minor) == 4);
static_assert(offsetof(dlm_lspace_params, name) == 8);

static_assert(kVersionSize == 12 && kResultSize == 72 && kResultLvbSize == 104);
static_assert(offsetof(dlm_lock_result, version) == 0 && offsetof(dlm_lock_result, length) == 12);
static_assert(offsetof(dlm_lock_result, user_astaddr) == 16 && offsetof(dlm_lock_result, user_astparam) == 24);
static_assert(offsetof(dlm_lock_result, user_lksb) == 32 && offsetof(dlm_lock_result, lksb) == 40);
static_assert(offsetof(dlm_lock_result, bast_mode) == 64 && offsetof(dlm_lock_result, lvb_offset) == 68);

}  // namespace clusterlock::dlm
