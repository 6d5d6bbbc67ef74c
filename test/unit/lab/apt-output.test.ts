import assert from "node:assert/strict";

import { kernelPackage, plannedInstalls, shownVersion } from "../../../lib/lab/image/apt-output";
import { fileName } from "../../../lib/lab/image/cache";

describe("lab: apt's output", () => {
  it("names the kernel behind the metapackage", () => {
    assert.equal(
      kernelPackage("linux-image-amd64\n  Depends: linux-image-6.1.0-49-amd64\n"),
      "linux-image-6.1.0-49-amd64",
    );
  });

  it("does not take the cloud kernel, a recommendation or a provider for the kernel", () => {
    const output = `linux-image-amd64
  Depends: linux-base
  Recommends: linux-image-5.10.0-1-amd64
 |Depends: linux-image-6.12.9-cloud-amd64
  Depends: linux-image-6.12.9-amd64
    linux-image-6.12.8-amd64
`;
    assert.equal(kernelPackage(output), "linux-image-6.12.9-amd64");
    assert.equal(kernelPackage("linux-image-amd64\n  Depends: linux-base\n"), undefined);
  });

  it("lists new and upgraded packages once, sorted, and nothing else", () => {
    const output = `Reading package lists...
The following NEW packages will be installed:
  kmod libqb100
Inst libudev1 [252.38-1~deb12u1] (252.39-1~deb12u2 Debian:12.15/oldstable [amd64]) []
Inst libqb100 (2.0.6-2 Debian:12.15/oldstable [amd64])
Inst corosync (3.1.7-1+deb12u2 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Remv busybox [1:1.35.0-4+b3]
Conf libudev1 (252.39-1~deb12u2 Debian:12.15/oldstable [amd64])
Inst kmod:amd64 (1:30+20221128-1 Debian:12.15/oldstable [amd64])
`;
    assert.deepEqual(plannedInstalls(output), [
      { name: "corosync", version: "3.1.7-1+deb12u2" },
      { name: "kmod:amd64", version: "1:30+20221128-1" },
      { name: "libqb100", version: "2.0.6-2" },
      { name: "libudev1", version: "252.39-1~deb12u2" },
    ]);
    assert.deepEqual(plannedInstalls("0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n"), []);
  });

  it("reads the version that is shown", () => {
    assert.equal(shownVersion("Package: x\nVersion: 1:1.35.0-4+b1\nDepends: y (= 2)\n"), "1:1.35.0-4+b1");
    assert.equal(shownVersion("N: No packages found\n"), undefined);
  });

  it("makes versions into file names without separators", () => {
    assert.equal(fileName("1:2~a,b/c"), "1_2_a_b_c");
  });
});
