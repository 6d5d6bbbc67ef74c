// Which Debian package brings what a task needs. A name is a program's; one with a slash is a file's, for packages that
// bring no program. To add a task, add a group and name it in a call of setUp().
import { existsSync } from "node:fs";
import path from "node:path";

export const GROUPS = {
  // node-gyp is written in Python
  build: { "g++": "g++", make: "make", python3: "python3" },
  checks: { "clang-format": "clang-format", "clang-tidy": "clang-tidy" },
  // what unit tests run beside the compiler
  unit: { xz: "xz-utils" },
  // what the tests of the other cluster drivers run; the clusters they run it on are the lab's
  drivers: {
    ssh: "openssh-client",
    vagrant: "vagrant",
    "/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json": "vagrant-libvirt",
  },
  // libdlm and libo2dlm, which their programs and ours must get along with
  interop: {
    "/usr/include/libdlm.h": "libdlm-dev",
    "/usr/include/o2dlm/o2dlm.h": "ocfs2-tools-dev",
    // o2dlm.h includes it, and its package does not ask for it
    "/usr/include/et/com_err.h": "comerr-dev",
  },
  lab: { "qemu-system-x86_64": "qemu-system-x86" },
};

export function isInstalled(name, searchPath = process.env.PATH ?? "") {
  if (name.includes("/")) return existsSync(name);
  // an ordinary user's PATH has no sbin
  return [...searchPath.split(":"), "/usr/sbin", "/sbin"].some((dir) => existsSync(path.join(dir, name)));
}

/** The packages of these groups that are still to be installed. */
export function missingPackages(groups, installed = isInstalled) {
  const wanted = groups.flatMap((group) => Object.entries(GROUPS[group]));
  return [...new Set(wanted.filter(([name]) => !installed(name)).map(([, pkg]) => pkg))];
}
