#include "napi/errors.h"

#include <string>
#include <system_error>

namespace clusterlock::napi {

Napi::Error SystemError(Napi::Env env, int error, const char* syscall) {
  Napi::Error out = Napi::Error::New(env, std::string(syscall) + ": " + std::generic_category().message(error));
  out.Set("errno", Napi::Number::New(env, -error));
  out.Set("syscall", Napi::String::New(env, syscall));
  return out;
}

}  // namespace clusterlock::napi
