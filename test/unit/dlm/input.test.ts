import assert from "node:assert/strict";

import { checkObject, checkSignal, checkUint32 } from "../../../lib/checks";
import { checkLvbOption } from "../../../lib/dlm/lvb";
import { checkLockspaceName, encodeResourceName } from "../../../lib/dlm/names";
import { checkCreation, checkListener, checkMode } from "../../../lib/dlm/options";
import { checkValueWish, checkXid } from "../../../lib/dlm/options";
import { DlmError } from "../../../lib/errors";

const valueError = (message: RegExp): object => ({ name: "RangeError", code: "ERR_INVALID_ARG_VALUE", message });
const typeError = (message: RegExp): object => ({ name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message });

describe("input checks", () => {
  it("take lockspace names that can be a device's name, up to 64 bytes", () => {
    for (const name of ["orders", "a", "x".repeat(64), "with-dash_and.dot", "ümlaut"]) {
      assert.equal(checkLockspaceName(name), name);
    }
  });

  it("refuse the others, naming what is wrong", () => {
    assert.throws(() => checkLockspaceName(""), valueError(/must not be empty/));
    assert.throws(() => checkLockspaceName("x".repeat(65)), valueError(/65 bytes long.*at most 64/));
    assert.throws(() => checkLockspaceName("ü".repeat(33)), valueError(/66 bytes long/));
    for (const bad of ["a/b", "a b", "a\0", "a\n", "a!b"])
      assert.throws(() => checkLockspaceName(bad), valueError(/must not hold/));
    for (const bad of [".", "..", "plock"]) assert.throws(() => checkLockspaceName(bad), valueError(/taken/));
    for (const bad of [undefined, null, 7, {}])
      assert.throws(() => checkLockspaceName(bad), typeError(/"name".*a string/));
  });

  it("take resource names of 1 to 64 bytes, text or binary", () => {
    assert.deepEqual([...encodeResourceName("aü")], [0x61, 0xc3, 0xbc]);
    assert.deepEqual([...encodeResourceName(Uint8Array.of(0, 1, 255))], [0, 1, 255]);
    assert.equal(encodeResourceName("r".repeat(64)).length, 64);
  });

  it("copy a binary name, so that a later change of the caller's bytes moves nothing", () => {
    const bytes = Uint8Array.of(1, 2);
    const encoded = encodeResourceName(bytes);
    bytes[0] = 9;
    assert.deepEqual([...encoded], [1, 2]);
  });

  it("refuse empty, over-long and NUL-terminated resource names", () => {
    assert.throws(() => encodeResourceName(""), valueError(/must not be empty/));
    assert.throws(() => encodeResourceName("r".repeat(65)), valueError(/65 bytes long.*at most 64/));
    assert.throws(() => encodeResourceName("a\0"), valueError(/must not end in a NUL/));
    assert.throws(() => encodeResourceName(5), typeError(/"resource".*a string or a Uint8Array/));
  });

  it("refuse lone surrogates, which would all be one name", () => {
    assert.throws(() => encodeResourceName("\ud800"), valueError(/"resource".*not well-formed/));
    assert.throws(() => checkLockspaceName("a\udfff"), valueError(/"name".*not well-formed/));
    assert.equal(encodeResourceName("\u{1f512}").length, 4);
  });

  it("refuse unknown modes with the list of the known ones", () => {
    assert.equal(checkMode("PR", "mode"), "PR");
    assert.throws(() => checkMode("XX", "mode"), valueError(/'XX'.*NL, CR, CW, PR, PW, EX/));
    assert.throws(() => checkMode(5, "mode"), typeError(/a lock mode/));
  });

  it("pad a value block to 32 bytes and refuse a longer one", () => {
    assert.deepEqual(checkLvbOption(Uint8Array.of(7)), Uint8Array.of(7, ...new Array<number>(31).fill(0)));
    assert.equal(checkLvbOption(true), true);
    assert.throws(() => checkLvbOption(new Uint8Array(33)), valueError(/33 bytes long.*has 32/));
    assert.throws(() => checkLvbOption("text"), typeError(/a boolean or a Uint8Array/));
  });

  it("refuse options of the wrong kind", () => {
    assert.throws(() => checkObject(5), typeError(/"options".*an object/));
    assert.throws(() => checkSignal({}), typeError(/"options.signal".*an AbortSignal/));
    assert.throws(() => checkListener(1), typeError(/"options.onBlocking".*a function/));
  });

  it("take creation as a wish or with its details", () => {
    assert.deepEqual(checkCreation(undefined), { wanted: false, exclusive: false, mode: undefined });
    assert.deepEqual(checkCreation(true), { wanted: true, exclusive: false, mode: undefined });
    assert.deepEqual(checkCreation({ exclusive: true, mode: 0o660 }), { wanted: true, exclusive: true, mode: 0o660 });
    assert.throws(() => checkCreation("yes"), typeError(/"options.create".*a boolean or an object/));
    assert.throws(() => checkCreation({ exclusive: 1 }), typeError(/"options.create.exclusive".*a boolean/));
    assert.throws(() => checkCreation({ mode: 0o1777 }), valueError(/0o1777.*up to 0o777/));
    assert.throws(() => checkCreation({ mode: 1.5 }), valueError(/1.5.*whole number/));
  });

  it("take a tag of 64 bits, and numbers of 32", () => {
    assert.deepEqual(checkXid(2n ** 64n - 1n), { low: 0xffffffff, high: 0xffffffff });
    assert.deepEqual(checkXid(2 ** 33 + 5), { low: 5, high: 2 });
    for (const bad of [-1, 1.5, 2n ** 64n, -1n]) assert.throws(() => checkXid(bad), valueError(/"options.xid"/));
    assert.throws(() => checkXid("7"), typeError(/a bigint or number/));
    assert.equal(checkUint32(0xffffffff, "id"), 0xffffffff);
    for (const bad of [-1, 2 ** 32, NaN]) assert.throws(() => checkUint32(bad, "id"), valueError(/"id"/));
  });

  it("refuse to write and invalidate a value at once", () => {
    assert.throws(() => checkValueWish({ lvb: Uint8Array.of(1), invalidateLvb: true }), valueError(/invalidates/));
  });
});

describe("DlmError", () => {
  it("has the shape of Node's system errors, with names libuv does not know", () => {
    const error = new DlmError({ errno: -35, syscall: "dlm_convert", lockspace: "ls", resource: "r", lkid: 9 });
    assert.equal(error.message, "EDEADLK: resource deadlock avoided, dlm_convert 'r'");
    assert.deepEqual(Object.fromEntries(Object.entries(error)), {
      code: "EDEADLK",
      errno: -35,
      syscall: "dlm_convert",
      lockspace: "ls",
      resource: "r",
      lkid: 9,
    });
  });

  it("says what to do when it knows", () => {
    const error = new DlmError({ errno: -2, syscall: "open", path: "/dev/x", hint: "modprobe dlm" });
    assert.equal(error.message, "ENOENT: no such file or directory, open '/dev/x' (modprobe dlm)");
  });
});
