// Checks the tarball that would be published: what is in it, that publint and attw find its entry points right, and
// that it works when installed, required and imported, with a prebuilt addon and no compiler.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const place = mkdtempSync(path.join(os.tmpdir(), "clusterlock-pack-"));
const bin = (name) => path.join(root, "node_modules/.bin", name);

function run(cwd, program, ...args) {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function expect(holds, what) {
  if (!holds) throw new Error(what);
}

try {
  // The package as it will be released: with a prebuilt addon in it.
  const source = path.join(place, "source");
  for (const name of [
    "package.json",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "binding.gyp",
    "csrc",
    "scripts",
    "examples",
    "docs",
    "Vagrantfile",
    "dist",
  ]) {
    cpSync(path.join(root, name), path.join(source, name), { recursive: true });
  }
  const tuple = `${process.platform}-${process.arch}`;
  mkdirSync(path.join(source, "prebuilds", tuple), { recursive: true });
  for (const [built, name] of [
    ["clusterlock.node", "clusterlock.glibc.node"],
    ["clusterlock_opener", "clusterlock_opener.glibc"],
  ]) {
    cpSync(path.join(root, "build/Release", built), path.join(source, "prebuilds", tuple, name));
  }

  const [{ filename, files }] = JSON.parse(run(source, "npm", "pack", "--json", "--ignore-scripts"));
  const tarball = path.join(source, filename);
  const names = new Set(files.map((file) => file.path));
  for (const name of [
    "dist/index.js",
    "dist/index.mjs",
    "dist/dlm/index.d.mts",
    "dist/lab/index.js",
    "dist/cli/main.js",
  ]) {
    expect(names.has(name), `${name} is missing from the tarball`);
  }
  for (const name of [
    "csrc/sources.gypi",
    "csrc/dlm/codec.cc",
    "csrc/dlmfs/opener_main.cc",
    `prebuilds/${tuple}/clusterlock_opener.glibc`,
    "scripts/build-native.mjs",
    "scripts/guest/fs-dlm.sh",
    "scripts/guest/stack-dlm.sh",
    "scripts/guest/stack-o2cb.sh",
    "scripts/guest/stack-dlmfs-dlm.sh",
    "scripts/lab/fence-agent",
    "scripts/fetch-kernel",
    "dist/lab/keeper/main.js",
    "Vagrantfile",
    "docs/lab.md",
    "LICENSE",
    "README.md",
  ]) {
    expect(names.has(name), `${name} is missing from the tarball`);
  }
  expect(!names.has("binding.gyp"), "a root binding.gyp would make npm list an install script");
  const stray = [...names].filter((name) => /^(test|lib|build|node_modules|docs\/records)\//.test(name));
  expect(stray.length === 0, `these do not belong in the tarball: ${stray.join(", ")}`);

  run(root, bin("publint"), "run", "--strict", tarball);
  run(root, bin("attw"), tarball, "--profile", "node16");

  const app = path.join(place, "app");
  mkdirSync(app);
  writeFileSync(path.join(app, "package.json"), '{ "name": "app", "private": true }\n');
  run(app, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", tarball);
  const installed = JSON.parse(readFileSync(path.join(app, "node_modules/clusterlock/package.json"), "utf8"));
  expect(Object.keys(installed.dependencies).join() === "bindings", "there is one runtime dependency");
  writeFileSync(
    path.join(app, "try.mjs"),
    `import * as esm from "clusterlock/dlm";
     import { createRequire } from "node:module";
     const cjs = createRequire(import.meta.url)("clusterlock/dlm");
     if (esm.Lockspace !== cjs.Lockspace) throw new Error("two instances of one class");
     if (createRequire(import.meta.url)("clusterlock").Lockspace !== esm.Lockspace) throw new Error("two again");
     await import("clusterlock/lab");
     const error = await esm.Lockspace.open("absent").catch((e) => e);
     console.log(error.code, error.syscall);
     const { native, openerPath } = createRequire(import.meta.url)("./node_modules/clusterlock/dist/native.js");
     native().startOpener(openerPath(), "process", (failure, opener) => {
       console.log(failure ? failure.syscall : opener.pid !== process.pid);
       opener?.close();
     }, () => undefined, () => undefined);\n`,
  );
  // The addon really was loaded: it is what looked for the device. And its opener runs.
  const works = "ENOENT open\ntrue\n";
  expect(run(app, process.execPath, "try.mjs") === works, "the installed package does not work");
  expect(
    run(app, path.join(app, "node_modules/.bin/clusterlock"), "--version").includes(installed.version),
    "the command does not run",
  );

  // And it can be built from what the tarball carries.
  const home = path.join(app, "node_modules/clusterlock");
  rmSync(path.join(home, "prebuilds"), { recursive: true });
  for (const name of ["node-gyp", "node-addon-api"]) {
    // resolved as a user's own `npm install node-gyp node-addon-api` would be
    run(app, "ln", "-s", path.join(root, "node_modules", name), path.join(app, "node_modules", name));
  }
  run(home, process.execPath, "scripts/build-native.mjs");
  expect(run(app, process.execPath, "try.mjs") === works, "the package built from source does not work");
  process.stdout.write(`${files.length} files, works installed and built from source\n`);
} catch (error) {
  process.stdout.write(`${error.message}\n${error.stdout ?? ""}${error.stderr ?? ""}\n`);
  process.exitCode = 1;
} finally {
  rmSync(place, { recursive: true, force: true });
}
