// A directory for each test.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Call in a `describe`: returns a function to the current test's directory. */
export function useTempDir(): () => string {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), "clusterlock-test-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });
  return () => root;
}

/** Writes a file and the directories on the way to it. */
export function put(root: string, name: string, content: string | Buffer = ""): string {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}
