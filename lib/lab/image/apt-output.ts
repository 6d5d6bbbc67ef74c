// What apt's commands print, read without running them.

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** The kernel package that the metapackage stands for, from `apt-cache depends`. */
export function kernelPackage(depends: string): string | undefined {
  for (const line of depends.split("\n")) {
    const name = /^\s*\|?Depends:\s*(\S+)\s*$/.exec(line)?.[1];
    // the cloud flavour has no DLM, no OCFS2 and no GFS2
    if (name !== undefined && /^linux-image-\d/.test(name) && !name.includes("cloud")) return name;
  }
  return undefined;
}

/** The other packages that hold parts of a kernel, from `apt-cache depends`: the image, and the modules. */
export function kernelPartNames(depends: string): string[] {
  return [...depends.matchAll(/^\s*Depends:\s*(linux-(?:binary|modules)-\d\S*)\s*$/gm)].map((match) => match[1] ?? "");
}

/** All that `apt-cache show` speaks of. */
export function shownPackages(show: string): PackageVersion[] {
  return show.split(/\n{2,}/).flatMap((paragraph) => {
    const name = /^Package: (\S+)$/m.exec(paragraph)?.[1];
    const version = shownVersion(paragraph);
    return name === undefined || version === undefined ? [] : [{ name, version }];
  });
}

/** The version `apt-cache show --no-all-versions` speaks of. */
export function shownVersion(show: string): string | undefined {
  return /^Version: (\S+)$/m.exec(show)?.[1];
}

/** What `apt-get install -s` would unpack, sorted by name. */
export function plannedInstalls(simulation: string): PackageVersion[] {
  const found = new Map<string, string>();
  for (const line of simulation.split("\n")) {
    const match = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) found.set(match[1], match[2]);
  }
  return [...found]
    .map(([name, version]) => ({ name, version }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
