// Errors of system calls as JavaScript gets them, where a result is not enough.
#pragma once

#include <napi.h>

namespace clusterlock::napi {

// With `errno` (negative) and `syscall`, as lib/errors.ts reads them.
Napi::Error SystemError(Napi::Env env, int error, const char* syscall);

}  // namespace clusterlock::napi
