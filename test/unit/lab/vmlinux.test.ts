import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { findPayload, hasPvhEntry, unpackImage } from "../../../lib/lab/image/vmlinux";
import { put, useTempDir } from "./temp-dir";

const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const GZIP = Buffer.from([0x1f, 0x8b, 0x08, 0x00]);

/** A boot sector, one more of set-up, and the payload with its size behind it. */
function bzImage(payload: Buffer): Buffer {
  const head = Buffer.alloc(1024);
  head.writeUInt8(1, 0x1f1);
  head.write("HdrS", 0x202);
  head.writeUInt32LE(16, 0x248);
  head.writeUInt32LE(payload.length + 4, 0x24c);
  return Buffer.concat([head, Buffer.alloc(16), payload, Buffer.from("size"), Buffer.from("rest")]);
}

/** An ELF file with one segment of notes: another's, and one by this owner and of this type. */
function elf(owner: string, type: number): Buffer {
  const header = Buffer.alloc(64);
  header.write("\x7fELF", 0, "latin1");
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const notes = Buffer.concat([note("GNU\0", 3, 5), note(owner, type, 8)]);
  const segments = [Buffer.alloc(56), Buffer.alloc(56)] as const;
  segments[0].writeUInt32LE(1, 0);
  segments[1].writeUInt32LE(4, 0);
  segments[1].writeBigUInt64LE(64n + 112n, 8);
  segments[1].writeBigUInt64LE(BigInt(notes.length), 32);
  return Buffer.concat([header, ...segments, notes]);
}

function note(owner: string, type: number, size: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(owner.length, 0);
  head.writeUInt32LE(size, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, Buffer.from(owner), Buffer.alloc((size + 3) & ~3)]);
}

describe("lab: the kernel in a bzImage", () => {
  const root = useTempDir();
  const { signal } = new AbortController();

  it("is found when it is packed by xz or zstd", () => {
    for (const [tool, magic] of Object.entries({ xz: XZ, zstd: ZSTD })) {
      const payload = Buffer.concat([magic, Buffer.from("packed")]);
      assert.deepEqual(findPayload(bzImage(payload)), { payload, tool });
    }
    assert.equal(findPayload(bzImage(Buffer.concat([GZIP, Buffer.from("packed")]))), undefined);
    assert.equal(findPayload(Buffer.from("no kernel")), undefined);
    assert.equal(findPayload(Buffer.alloc(4096)), undefined);
  });

  it("can be booted when it has Xen's note for PVH", () => {
    assert.equal(hasPvhEntry(elf("Xen\0", 18)), true);
    assert.equal(hasPvhEntry(elf("Xen\0", 17)), false);
    assert.equal(hasPvhEntry(elf("Abc\0", 18)), false);
    assert.equal(hasPvhEntry(Buffer.from("no ELF")), false);
    assert.equal(hasPvhEntry(elf("Xen\0", 18).subarray(0, 100)), false);
  });

  it("is unpacked when it can be booted then, and copied as it is when not", async () => {
    const target = path.join(root(), "image");
    const pack = (content: Buffer): Buffer => execFileSync("xz", ["-c"], { input: content });
    const good = elf("Xen\0", 18);
    await unpackImage(put(root(), "good", bzImage(pack(good))), target, signal);
    assert.deepEqual(readFileSync(target), good);

    const withoutPvh = bzImage(pack(elf("Xen\0", 17)));
    const damaged = bzImage(Buffer.concat([XZ, Buffer.from("not xz after all")]));
    const otherwise = bzImage(GZIP);
    for (const image of [withoutPvh, damaged, otherwise]) {
      await unpackImage(put(root(), "kernel", image), target, signal);
      assert.deepEqual(readFileSync(target), image);
    }
  });
});
