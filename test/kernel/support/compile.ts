// Programs for a node, compiled here: it sees them at the same path. There, tsx alone would take longer than many a test.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

import ts from "typescript";

const ROOT = path.resolve(__dirname, "../../..");

/** Compiles a program in C. */
export function compileC(source: string, program: string, libraries: readonly string[]): void {
  mkdirSync(path.dirname(program), { recursive: true });
  // another run of the tests may be using the one that is there
  const fresh = `${program}.${process.pid}`;
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1"];
  execFileSync("gcc", [...flags, "-o", fresh, source, ...libraries], { stdio: "inherit" });
  renameSync(fresh, program);
}

/** Compiles the TypeScript of a directory, which may only import each other and packages; returns where they are now. */
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
