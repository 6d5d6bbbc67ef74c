import assert from "node:assert/strict";

import { checkDomainLockName, checkDomainName } from "../../../lib/dlmfs/names";

const valueError = (message: RegExp): object => ({ name: "RangeError", code: "ERR_INVALID_ARG_VALUE", message });
const typeError = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };

describe("names on ocfs2_dlmfs", () => {
  it("take domains of up to 63 bytes that all their places can carry", () => {
    for (const name of ["orders", "x".repeat(63), "a-b_c.d", "0123"]) assert.equal(checkDomainName(name), name);
    assert.throws(() => checkDomainName("x".repeat(64)), valueError(/64 bytes long.*at most 63/));
    for (const name of ["a/b", "a b", "ü", ".hidden", "..", "a\0"]) {
      assert.throws(() => checkDomainName(name), valueError(/must consist of letters/), name);
    }
    assert.throws(() => checkDomainName(""), valueError(/must not be empty/));
    for (const name of [undefined, 7, null, Buffer.from("x")]) assert.throws(() => checkDomainName(name), typeError);
  });

  it("take the UUID of a volume for a domain only on request", () => {
    const uuid = "0123456789ABCDEF0123456789ABCDEF";
    assert.throws(() => checkDomainName(uuid), valueError(/UUID of an OCFS2 volume/));
    assert.equal(checkDomainName(uuid, true), uuid);
    assert.equal(checkDomainName(uuid.toLowerCase()), uuid.toLowerCase());
  });

  it("take locks of up to 31 bytes, but for those that the kernel or others keep to themselves", () => {
    for (const name of ["x", "x".repeat(31), "ü".repeat(15), "a b", "customer:42"]) {
      assert.equal(checkDomainLockName(name), name);
    }
    assert.throws(() => checkDomainLockName("ü".repeat(16)), valueError(/32 bytes long.*at most 31/));
    assert.throws(() => checkDomainLockName("a/b"), valueError(/'\/' or NUL/));
    assert.throws(() => checkDomainLockName("a\0b"), valueError(/'\/' or NUL/));
    assert.throws(() => checkDomainLockName("$RECOVERY"), valueError(/o2dlm keeps such names/));
    for (const name of [".", "..", ".0123456789abcdef"]) {
      assert.throws(() => checkDomainLockName(name), valueError(/libo2dlm and this library keep/), name);
    }
    assert.equal(checkDomainLockName("version_lock", "o2cb"), "version_lock");
    assert.throws(() => checkDomainLockName("version_lock", "pcmk"), valueError(/holds that lock for good/));
    assert.throws(() => checkDomainLockName("\ud800"), valueError(/well-formed/));
    assert.throws(() => checkDomainLockName(""), valueError(/must not be empty/));
    for (const name of [undefined, 7, null]) assert.throws(() => checkDomainLockName(name), typeError);
  });
});
