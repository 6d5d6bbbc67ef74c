import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";

import { readNote, writeNote } from "../../../lib/lab/image/notes";
import { answerFor, savedAnswers } from "../../../lib/lab/qemu/accel";
import { put, useTempDir } from "./temp-dir";

describe("lab: notes in the cache", () => {
  const root = useTempDir();

  it("come back as they were written, and leave nothing else", async () => {
    const file = path.join(root(), "cache/note.json");
    await writeNote(file, { a: [1, "x"] });
    await writeNote(file, { a: [2] });
    assert.deepEqual(await readNote(file), { a: [2] });
    assert.deepEqual(readdirSync(path.dirname(file)), ["note.json"]);
  });

  it("are done without when they cannot be read or written", async () => {
    assert.equal(await readNote(path.join(root(), "none")), undefined);
    assert.equal(await readNote(put(root(), "damaged", '{"a":')), undefined);
    const file = put(root(), "file");
    // what even root cannot do
    await writeNote(path.join(file, "note.json"), {});
    put(root(), "directory/x");
    await writeNote(path.join(root(), "directory"), {});
    assert.deepEqual(readdirSync(root()).sort(), ["damaged", "directory", "file"]);
  });
});

describe("lab: what is known of KVM", () => {
  it("is what was found on this host since it was booted", () => {
    const note = { host: "boot 1", answers: { "/k": "kvm", "/l": "tcg", "/m": "odd" } };
    assert.deepEqual(savedAnswers(note, "boot 1"), { "/k": "kvm", "/l": "tcg" });
    assert.deepEqual(savedAnswers(note, "boot 2"), {});
    for (const odd of [undefined, null, 1, "x", [], {}, { host: "boot 1" }, { host: "boot 1", answers: null }]) {
      assert.deepEqual(savedAnswers(odd, "boot 1"), {});
    }
  });

  it("is that it works when any kernel was booted, and is asked of a new kernel when none was", () => {
    assert.equal(answerFor("/k", {}), undefined);
    assert.equal(answerFor("/k", { "/k": "tcg" }), "tcg");
    assert.equal(answerFor("/k", { "/other": "tcg" }), undefined);
    assert.equal(answerFor("/k", { "/other": "kvm", "/k": "tcg" }), "kvm");
  });
});
