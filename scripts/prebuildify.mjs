// npm run prebuildify: the addon for this platform into prebuilds/, as a release carries it, and the opener beside it. One
// Node-API binary serves every Node from 20 on; without -t prebuildify would build for the newest.
import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, statSync } from "node:fs";
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

// prebuildify knows of addons only. The opener is named as the addon that has just been made, with its own name in front:
// lib/native.ts:openerPath(). Others may lie there, of another libc.
const tuple = path.join(root, "prebuilds", `${process.platform}-${process.arch}`);
const age = (name) => statSync(path.join(tuple, name)).mtimeMs;
const [addon] = readdirSync(tuple)
  .filter((name) => name.endsWith(".node"))
  .sort((a, b) => age(b) - age(a));
const opener = path.join(tuple, addon.replace(/^clusterlock/, "clusterlock_opener").replace(/\.node$/, ""));
copyFileSync(path.join(root, "build/Release/clusterlock_opener"), opener);
execFileSync(process.env.PREBUILD_STRIP_BIN ?? "strip", [opener]);
