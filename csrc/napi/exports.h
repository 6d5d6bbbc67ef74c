// What the addon offers to lib/native.ts.
#pragma once

#include <napi.h>

namespace clusterlock::napi {

void Export(Napi::Env env, Napi::Object exports);

}  // namespace clusterlock::napi
