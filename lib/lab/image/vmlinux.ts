// The kernel proper out of a bzImage. An emulated processor needs over a second to decompress a kernel, on every boot
// of every node: do it once, on the host. (Documentation/x86/boot.rst says where the payload lies; QEMU boots the ELF
// file within by the PVH entry point.)

import { copyFile, readFile, rm, writeFile } from "node:fs/promises";

import { command, CommandError } from "./command";
import { isDiskFull } from "./disk-full";

const SETUP_SECTORS = 0x1f1;
const BOOT_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const PACKERS = [
  // not busybox: kernels are packed with a filter for x86 code that it cannot undo
  { tool: "xz", magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
  { tool: "zstd", magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
] as const;

/** Makes `target` of a bzImage: its ELF file where that can be had and booted, else a copy. */
export async function unpackImage(bzImage: string, target: string, signal: AbortSignal): Promise<void> {
  const packed = findPayload(await readFile(bzImage));
  if (packed !== undefined) {
    const { payload, tool } = packed;
    await writeFile(`${target}.packed`, payload);
    try {
      await command(["sh", "-c", '"$1" -dc <"$2" >"$3"', "sh", tool, `${target}.packed`, target], { signal });
      if (hasPvhEntry(await readFile(target))) return;
    } catch (error) {
      // without the tool on this host, nodes boot a little slower
      if (!(error instanceof CommandError) || isDiskFull(error)) throw error;
    } finally {
      await rm(`${target}.packed`, { force: true });
    }
  }
  await copyFile(bzImage, target);
}

/** The packed kernel in a bzImage, when it is packed in a way we know. */
export function findPayload(image: Buffer): { payload: Buffer; tool: string } | undefined {
  if (image.length < 1024 || image.toString("latin1", BOOT_MAGIC, BOOT_MAGIC + 4) !== "HdrS") return undefined;
  const start = (image.readUInt8(SETUP_SECTORS) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  // the payload ends with its unpacked size, four bytes that are not the packer's
  const payload = image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH) - 4);
  const packer = PACKERS.find(({ magic }) => payload.subarray(0, magic.length).equals(magic));
  return packer === undefined ? undefined : { payload, tool: packer.tool };
}

const PT_NOTE = 4;
const PHYS32_ENTRY = 18;

/** Whether QEMU can boot this ELF file: a kernel built without CONFIG_PVH has no such note. */
export function hasPvhEntry(elf: Buffer): boolean {
  if (elf.length < 64 || elf.toString("latin1", 0, 4) !== "\x7fELF") return false;
  const headers = Number(elf.readBigUInt64LE(32));
  const [size, count] = [elf.readUInt16LE(54), elf.readUInt16LE(56)];
  for (let header = headers; header < headers + size * count && header + 56 <= elf.length; header += size) {
    if (elf.readUInt32LE(header) !== PT_NOTE) continue;
    const start = Number(elf.readBigUInt64LE(header + 8));
    if (hasNote(elf.subarray(start, start + Number(elf.readBigUInt64LE(header + 32))))) return true;
  }
  return false;
}

function hasNote(notes: Buffer): boolean {
  for (let at = 0; at + 12 <= notes.length;) {
    const [name, value] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4)];
    const owner = notes.toString("latin1", at + 12, at + 12 + name);
    if (notes.readUInt32LE(at + 8) === PHYS32_ENTRY && owner === "Xen\0") return true;
    at += 12 + align4(name) + align4(value);
  }
  return false;
}

function align4(length: number): number {
  return (length + 3) & ~3;
}
