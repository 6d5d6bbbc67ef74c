// TypeScript for a node, compiled here: there, tsx alone would take longer than many a test.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import ts from "typescript";

const ROOT = path.resolve(__dirname, "../../..");

/** Compiles the files of a directory, which may only import each other and packages; returns where they are now. */
export function compileDirectory(directory: string): string {
  const out = path.join(ROOT, "build", path.relative(ROOT, directory));
  mkdirSync(out, { recursive: true });
  const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
  for (const name of readdirSync(directory)) {
    const { outputText } = ts.transpileModule(readFileSync(path.join(directory, name), "utf8"), { compilerOptions });
    writeFileSync(path.join(out, name.replace(/\.ts$/, ".js")), outputText);
  }
  return out;
}
