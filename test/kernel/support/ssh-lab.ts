// Machines for the ssh driver: nodes of a QEMU lab with a real sshd, which is reached over the lab's control channel.
// So ssh does not go over the cluster network, as on real machines.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import net from "node:net";
import path from "node:path";

import type { Cluster } from "../../../lib/lab";
import { LabError, up } from "../../../lib/lab";
import { plannedInstalls } from "../../../lib/lab/image/apt-output";
import { buildLayer } from "../../../lib/lab/image/packages";
import type { SshHostSpec, SshInventory } from "../../../lib/lab/ssh/inventory";

import { command } from "./shell";

const PIPE = path.resolve(__dirname, "../programs/pipe.cjs");
const PACKAGES = ["openssh-server", "nftables", "iputils-ping"];

export class SshLab {
  readonly lab: Cluster;
  /** For a test's files; it goes with the lab. */
  readonly directory: string;
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Map<number, Set<Socket>>();
  readonly #off = new Set<number>();
  /** What hosts' commands have asked for, in order. */
  readonly switched: string[] = [];

  private constructor(lab: Cluster, directory: string) {
    this.lab = lab;
    this.directory = directory;
  }

  static async boot(nodes: number): Promise<SshLab> {
    const directory = mkdtempSync("/tmp/clt-ssh-");
    try {
      const plan = execFileSync("apt-get", ["install", "-s", "--no-install-recommends", ...PACKAGES], {
        encoding: "utf8",
      });
      await buildLayer(plannedInstalls(plan), directory, new AbortController().signal);
      for (const key of ["host", "user"]) {
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(directory, key)]);
      }
      const sshd = [
        `HostKey /run/clt-ssh/host`,
        "AuthorizedKeysFile /run/clt-ssh/user.pub",
        "PermitRootLogin prohibit-password",
        "StrictModes no",
        "UsePAM no",
      ];
      writeFileSync(path.join(directory, "sshd_config"), `${sshd.join("\n")}\n`);
      const made = new SshLab(await up({ nodes, stack: "none" }), directory);
      try {
        await Promise.all(made.lab.nodes.map((node) => made.#prepare(node)));
        made.#serve("switch", (socket) => {
          socket.on("data", (words) => void made.#switch(words.toString(), socket));
        });
      } catch (error) {
        await made.down();
        throw error;
      }
      return made;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  inventory(more: Partial<SshInventory> = {}, hosts: Partial<SshHostSpec> = {}): SshInventory {
    return { hosts: this.lab.nodes.map((node) => ({ ...this.#host(node), ...hosts })), stack: "none", ...more };
  }

  /** Commands of a node's host that switch it. */
  switches(node: number): Required<Pick<SshHostSpec, "powerOff" | "powerOn" | "freeze" | "thaw">> {
    const to = (what: string): string[] => [process.execPath, PIPE, this.#file("switch"), what, String(node)];
    return { powerOff: to("off"), powerOn: to("on"), freeze: to("freeze"), thaw: to("thaw") };
  }

  /** Ends the connections to a node as a network that forgets them would. */
  dropConnections(node: number): void {
    for (const socket of this.#sockets.get(node) ?? []) socket.destroy();
  }

  /** Runs a shell command on a node, past the driver under test. */
  async sh(node: number, script: string): Promise<string> {
    const { code, stdout, stderr } = await command(this.lab, node, ["sh", "-c", script]);
    if (code !== 0) throw new LabError(`n${node}: ${script}: ${code ?? "lost"} ${stderr}`);
    return stdout;
  }

  async down(): Promise<void> {
    await this.lab.down();
    for (const sockets of this.#sockets.values()) for (const socket of sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #host(node: number): SshHostSpec {
    const options = {
      ProxyCommand: `${process.execPath} ${PIPE} ${this.#file(`n${node}`)}`,
      IdentityFile: this.#file("user"),
      IdentitiesOnly: "yes",
      StrictHostKeyChecking: "no",
      UserKnownHostsFile: "/dev/null",
      GlobalKnownHostsFile: "/dev/null",
    };
    return {
      ssh: `root@node${node}`,
      options: ["-F", "none", ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])],
      address: `10.0.0.${node}`,
      interface: "eth0",
    };
  }

  async #prepare(node: number): Promise<void> {
    await this.sh(
      node,
      `set -e
       tar -C '${this.directory}/root' -c . | tar -x --keep-directory-symlink -C /
       grep -q ^sshd: /etc/passwd || echo sshd:x:4999:65534::/run/sshd:/usr/sbin/nologin >>/etc/passwd
       mkdir -p /run/sshd /run/clt-ssh
       cd '${this.directory}' && cp host user.pub sshd_config /run/clt-ssh/
       chmod 600 /run/clt-ssh/host`,
    );
    this.#sockets.set(node, new Set());
    this.#serve(`n${node}`, (socket) => {
      if (this.#off.has(node)) {
        socket.destroy();
        return;
      }
      this.#sockets.get(node)!.add(socket);
      const sshd = this.lab.exec(node, ["/usr/sbin/sshd", "-i", "-f", "/run/clt-ssh/sshd_config"], { cwd: "/" });
      sshd.stderr.resume();
      sshd.stdin.on("error", () => undefined);
      socket.pipe(sshd.stdin);
      sshd.stdout.pipe(socket);
      socket.once("close", () => {
        this.#sockets.get(node)!.delete(socket);
        sshd.stdin.end();
      });
      void sshd.exit.then(({ lost }) => {
        if (lost !== null) socket.destroy();
      });
    });
  }

  #serve(name: string, onSocket: (socket: Socket) => void): void {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => undefined);
      onSocket(socket);
    });
    server.listen(this.#file(name));
    this.#servers.push(server);
  }

  // A node that is off is one whose connections are gone; when it comes back it has booted, as far as one can see.
  async #switch(words: string, socket: Socket): Promise<void> {
    const [what, number] = words.split(" ");
    const node = Number(number);
    this.switched.push(words);
    if (what === "off") {
      this.#off.add(node);
      this.dropConnections(node);
    } else if (what === "on") {
      await this.sh(
        node,
        "cat /proc/sys/kernel/random/uuid >/run/boot_id && mount --bind /run/boot_id /proc/sys/kernel/random/boot_id",
      );
      this.#off.delete(node);
    } else if (what === "freeze") {
      await this.lab.freeze(node);
    } else {
      await this.lab.thaw(node);
    }
    socket.end();
  }

  #file(name: string): string {
    return path.join(this.directory, name);
  }
}
