// The module as Node loads it, once for each environment.
#include "napi/exports.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  clusterlock::napi::Export(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(clusterlock, Init)
