// Lints the C++ with clang-tidy, by the rules of .clang-tidy and with the flags that node-gyp builds with.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const nodeHeaders = path.resolve(path.dirname(process.execPath), "../include/node");
const flags = ["-std=c++17", "-Icsrc", "-Itest/native", "-isystem", nodeHeaders];
flags.push("-isystem", path.dirname(require.resolve("node-addon-api")));
flags.push("-DNAPI_VERSION=8", "-DNODE_ADDON_API_CPP_EXCEPTIONS", "-DNODE_ADDON_API_DISABLE_DEPRECATED");

const files = readdirSync(path.join(root, "csrc"), { recursive: true }).filter((file) => file.endsWith(".cc"));
const args = ["--quiet", "--warnings-as-errors=*", ...files.map((file) => path.join("csrc", file)), "--", ...flags];
const { status, stdout, stderr } = spawnSync("clang-tidy", args, { cwd: root, encoding: "utf8" });
if (status !== 0) process.stdout.write(stdout + stderr);
process.exitCode = status === 0 ? 0 : 1;
