import { checkWellFormed } from "../checks";
import { invalidType, invalidValue } from "../errors";

/** Longest lockspace name in bytes: DLM_LOCKSPACE_LEN. */
export const LOCKSPACE_NAME_MAX = 64;
/** Longest resource name in bytes: DLM_RESNAME_MAXLEN. */
export const RESOURCE_NAME_MAX = 64;

/** The name of a resource: 1 to 64 bytes, not ending in a NUL byte. A string is taken as UTF-8. */
export type ResourceName = string | Uint8Array;

// Device nodes of the kernel's own that a lockspace's node "dlm_NAME" would collide with.
const TAKEN = new Set(["plock"]);

/**
 * The name becomes a device node, a sysfs and a configfs directory: what any of these cannot carry is refused here.
 * @throws TypeError, RangeError
 */
export function checkLockspaceName(name: unknown): string {
  if (typeof name !== "string") throw invalidType("name", "a string", name);
  checkWellFormed(name, "name");
  const size = Buffer.byteLength(name);
  if (size === 0) throw invalidValue("name", "must not be empty: a lockspace needs a name");
  if (size > LOCKSPACE_NAME_MAX) {
    throw invalidValue("name", `is ${size} bytes long; a lockspace's name has at most ${LOCKSPACE_NAME_MAX}`);
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0020\u007f/!]/.test(name)) {
    throw invalidValue("name", "must not hold '/', '!', spaces or control characters: it becomes a device's name");
  }
  if (name === "." || name === ".." || TAKEN.has(name)) throw invalidValue("name", `'${name}' is taken by the system`);
  return name;
}

// What most names are: short, and ASCII without a NUL. Going through a Buffer costs more than all else of a request.
function encodePlain(name: string): Uint8Array | undefined {
  const size = name.length;
  if (size === 0 || size > RESOURCE_NAME_MAX) return undefined;
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const code = name.charCodeAt(i);
    if (code === 0 || code > 0x7f) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

/**
 * The bytes of a resource's name.
 * @throws TypeError, RangeError
 */
export function encodeResourceName(resource: unknown): Uint8Array {
  if (typeof resource !== "string" && !(resource instanceof Uint8Array)) {
    throw invalidType("resource", "a string or a Uint8Array", resource);
  }
  const plain = typeof resource === "string" ? encodePlain(resource) : undefined;
  if (plain) return plain;
  if (typeof resource === "string") checkWellFormed(resource, "resource");
  const bytes = typeof resource === "string" ? Buffer.from(resource) : Uint8Array.from(resource);
  if (bytes.length === 0) throw invalidValue("resource", "must not be empty: a lock needs a resource to stand on");
  if (bytes.length > RESOURCE_NAME_MAX) {
    throw invalidValue("resource", `is ${bytes.length} bytes long; the DLM allows at most ${RESOURCE_NAME_MAX}`);
  }
  if (bytes.at(-1) === 0) {
    throw invalidValue("resource", "must not end in a NUL byte: newer kernels take it for the name without it");
  }
  return bytes;
}
