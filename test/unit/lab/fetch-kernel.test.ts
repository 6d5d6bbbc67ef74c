import assert from "node:assert/strict";

import { LabOptionError } from "../../../lib/lab/errors";
import { kernelPartNames, shownPackages } from "../../../lib/lab/image/apt-output";
import { pickKernel } from "../../../lib/lab/image/fetch-kernel";

const KERNELS = [
  ["6.1.0-9", "6.1.27-1"],
  ["6.1.0-56", "6.1.192-2"],
  ["6.1.0-56-cloud", "6.1.192-2"],
  ["6.12.99+deb12", "6.12.99-1~deb12u1"],
  ["6.12.117+deb12", "6.12.117-1~deb12u1"],
  ["6.12.118+deb12-rt", "6.12.118-1~deb12u1"],
].map(([release, version]) => ({ name: `linux-image-${release!}-amd64`, version: version! }));
const UNSIGNED = { name: "linux-image-6.12.119+deb12-amd64-unsigned", version: "6.12.119-1~deb12u1" };
const ALL = [...KERNELS, UNSIGNED];

describe("lab: which kernel a version means", () => {
  const meanings: Record<string, string> = {
    "6": "6.12.117+deb12",
    "6.1": "6.1.0-56",
    "6.1.0": "6.1.0-56",
    "6.1.0-9": "6.1.0-9",
    "6.1.27": "6.1.0-9",
    "6.12": "6.12.117+deb12",
    "6.12.99": "6.12.99+deb12",
    "6.12.99+deb12": "6.12.99+deb12",
    "6.12.99-1~deb12u1": "6.12.99+deb12",
    "6.1.0-56-amd64": "6.1.0-56",
    "linux-image-6.12-amd64": "6.12.117+deb12",
    "linux-image-6.1.0-9-amd64": "6.1.0-9",
    "linux-image-6.1.0-56-cloud-amd64": "6.1.0-56-cloud",
  };
  for (const [wanted, release] of Object.entries(meanings)) {
    it(`${wanted} is ${release}`, () => {
      assert.equal(pickKernel(ALL, wanted).name, `linux-image-${release}-amd64`);
    });
  }

  it("takes an unsigned one by its name", () => {
    assert.equal(pickKernel(ALL, UNSIGNED.name), UNSIGNED);
  });

  it("lists what there is, newest first, when there is none", () => {
    for (const wanted of ["6.13", "6.1.0-5", "6.12.118", "linux-image-amd64", "6.1.0-56-cloud", "x", ""]) {
      assert.throws(
        () => pickKernel(ALL, wanted),
        (error) =>
          error instanceof LabOptionError &&
          error.message.endsWith("there are 6.12.117+deb12, 6.12.99+deb12, 6.1.0-56, 6.1.0-9"),
        wanted,
      );
    }
    assert.throws(() => pickKernel([], "6.1"), /apt's sources hold none at all, main must be enabled/);
  });
});

describe("lab: apt's word on kernels", () => {
  it("names every package that is shown", () => {
    const show = `Package: linux-image-6.1.0-56-amd64
Source: linux-signed-amd64 (6.1.192+2)
Version: 6.1.192-2
Description-en: a kernel
 Package: not one

Package: linux-image-6.12.117+deb12-amd64
Version: 6.12.117-1~deb12u1

`;
    assert.deepEqual(shownPackages(show), [
      { name: "linux-image-6.1.0-56-amd64", version: "6.1.192-2" },
      { name: "linux-image-6.12.117+deb12-amd64", version: "6.12.117-1~deb12u1" },
    ]);
    assert.deepEqual(shownPackages(""), []);
  });

  it("names the parts of a kernel", () => {
    const depends = `linux-image-7.2.13+deb14-amd64
  Depends: linux-binary-7.2.13+deb14-amd64
  Depends: linux-modules-7.2.13+deb14-amd64
  Depends: kmod
 |Depends: initramfs-tools
  Recommends: linux-modules-extra-7
`;
    assert.deepEqual(kernelPartNames(depends), ["linux-binary-7.2.13+deb14-amd64", "linux-modules-7.2.13+deb14-amd64"]);
    assert.deepEqual(kernelPartNames("linux-image-6.1.0-56-amd64\n  Depends: kmod\n"), []);
  });
});
