// Compiles lib/ to CommonJS in dist/ and puts a thin .mjs facade beside each public entry point, so that `import`
// and `require` share one instance of every class: a lock library must not exist twice in one process.
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const require = createRequire(import.meta.url);

rmSync(path.join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});

const { exports: entries } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
for (const entry of Object.values(entries)) {
  if (typeof entry === "string") continue;
  const facade = path.join(root, entry.import.default);
  const cjs = path.join(root, entry.require.default);
  const names = Object.keys(require(cjs)).filter((name) => name !== "default" && name !== "__esModule");
  const file = `./${path.basename(cjs)}`;
  writeFileSync(facade, `import cjs from "${file}";\nexport const { ${names.join(", ")} } = cjs;\n`);
  writeFileSync(path.join(root, entry.import.types), `export * from "${file}";\n`);
}
chmodSync(path.join(root, "dist/cli/main.js"), 0o755);
