// npm run prebuildify: the addon for this platform into prebuilds/, as a release carries it. One Node-API binary serves
// every Node from 20 on; without -t prebuildify would build for the newest.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const prefix = path.resolve(path.dirname(process.execPath), "..");
const args = ["--napi", "-t", process.versions.node, "--strip", "--tag-libc", "--name", "clusterlock"];
execFileSync(process.execPath, [path.join(path.dirname(require.resolve("prebuildify")), "bin.js"), ...args], {
  cwd: root,
  stdio: "inherit",
  // headers from beside this Node: nothing is fetched
  env: { ...process.env, npm_config_nodedir: prefix },
});
