import assert from "node:assert/strict";

import { connectVagrant } from "../../../lib/lab/vagrant/connect";
import { addressIn, machineNames, machineStates } from "../../../lib/lab/vagrant/ssh-config";

describe("lab: what vagrant prints", () => {
  it("names the machines", () => {
    const config = "Host node1\n  HostName 192.168.121.5\n  User vagrant\n\nHost node2\n  HostName 192.168.121.6\n";
    assert.deepEqual(machineNames(config), ["node1", "node2"]);
  });

  it("tells their states", () => {
    const status =
      "1760000000,node1,metadata,provider,libvirt\n1760000000,node1,state,running\n1760000000,node2,state,not_created\n";
    assert.deepEqual(
      [...machineStates(status)],
      [
        ["node1", "running"],
        ["node2", "not_created"],
      ],
    );
  });

  it("tells which interface is the cluster's", () => {
    const shown = [
      "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever",
      "2: eth0    inet 192.168.121.5/24 brd 192.168.121.255 scope global dynamic eth0\\       valid_lft 3000sec",
      "3: ens6    inet 192.168.56.11/24 brd 192.168.56.255 scope global ens6\\       valid_lft forever",
    ].join("\n");
    assert.deepEqual(addressIn("192.168.56", shown), { interface: "ens6", address: "192.168.56.11" });
    assert.equal(addressIn("192.168.5", shown), undefined);
  });

  it("is not asked for where there is no Vagrantfile", async () => {
    await assert.rejects(connectVagrant("/nonexistent"), /^LabOptionError: there is no Vagrantfile in \/nonexistent$/);
  });
});
