import type { Tree } from "../../../../lib/dlm/dev/tree";

/** The kernel's file systems in memory, and what was done to them in turn. configfs makes default groups by itself. */
export class FakeTree implements Tree {
  readonly done: string[] = [];
  readonly values: Map<string, string> = new Map();
  readonly directories: Set<string> = new Set(["/sys/kernel/config/dlm", "/sys/kernel/dlm"]);
  fails?: (path: string) => boolean;

  /** A lockspace as the kernel shows it. */
  lockspace(
    name: string,
    { id = 0, status = "0", device = false }: { id?: number; status?: string; device?: boolean } = {},
  ): void {
    const place = `/sys/kernel/dlm/${name}`;
    this.directories.add(place);
    this.values.set(`${place}/id`, String(id));
    this.values.set(`${place}/recover_status`, status);
    if (device) this.directories.add(`/sys/class/misc/dlm_${name}`);
    else this.directories.delete(`/sys/class/misc/dlm_${name}`);
  }

  exists(path: string): boolean {
    return this.directories.has(path) || this.values.has(path);
  }

  read(path: string): string | undefined {
    return this.values.get(path)?.replace(/[\n\0]+$/, "");
  }

  write(path: string, value: string | Uint8Array): void {
    if (this.fails?.(path)) throw Object.assign(new Error(`EINVAL: ${path}`), { errno: -22 });
    const text = typeof value === "string" ? value : Buffer.from(value).toString("hex");
    this.done.push(`${short(path)} = ${JSON.stringify(text)}`);
    this.values.set(path, text);
    if (path.endsWith("/addr")) this.values.set(`${path}_list`, "AF_INET\t127.0.0.1\n");
  }

  list(path: string): string[] {
    const inside = [...this.directories].filter((name) => name.startsWith(`${path}/`));
    return [...new Set(inside.map((name) => name.slice(path.length + 1).split("/")[0] ?? ""))];
  }

  make(path: string): void {
    this.done.push(`mkdir ${short(path)}`);
    this.directories.add(path);
    if (path.endsWith("/cluster")) for (const group of ["comms", "spaces"]) this.directories.add(`${path}/${group}`);
    if (/\/spaces\/[^/]+$/.test(path)) this.directories.add(`${path}/nodes`);
  }

  remove(path: string): void {
    this.done.push(`rmdir ${short(path)}`);
    const own = [...this.directories, ...this.values.keys()].filter((name) => name.startsWith(`${path}/`));
    const made = own.filter((name) => this.directories.has(name) && !/\/(comms|spaces|nodes)$/.test(name));
    if (made.length > 0) throw new Error(`ENOTEMPTY: ${made.join(", ")}`);
    for (const name of [path, ...own]) {
      this.directories.delete(name);
      this.values.delete(name);
    }
  }
}

function short(path: string): string {
  return path.replace("/sys/kernel/config/dlm/cluster", "C").replace("/sys/kernel/dlm", "S");
}
