// The QEMU command line of one node.

import { LabError } from "../errors";
import { AGENT_PORT, LOG_PORT } from "./ports";

export type Accel = "kvm" | "tcg";

export const QEMU = "qemu-system-x86_64";

export interface MachineSpec {
  readonly node: number;
  readonly accel: Accel;
  readonly cpus: number;
  readonly memory: number;
  readonly kernel: string;
  readonly initramfs: string;
  /** Given to scripts/lab as shell variables. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The tree laid over the host's root. */
  readonly layer: string;
  /** The directory the node may write, at the same path in the node. */
  readonly out: string;
  /** What the console prints is added to this file. */
  readonly consoleLog: string;
  /** And here what the node's daemons and its kernel log. */
  readonly systemLog: string;
  /** Arguments that attach the shared disks, /dev/vda and so on. */
  readonly disks: readonly string[];
  /** A raw file: the disk that o2cb's heartbeat has for itself. */
  readonly heartbeat: string | undefined;
  readonly controlSocket: string;
  readonly networkSocket: string;
}

// COMMAND_LINE_SIZE of the x86 kernel
const MAX_COMMAND_LINE = 2047;

export function qemuArgs(spec: MachineSpec): string[] {
  return [
    ...["-name", `clusterlock-n${spec.node}`, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-accel", spec.accel === "tcg" ? "tcg,thread=multi" : "kvm", "-M", "q35,sata=off,smbus=off", "-cpu", "max"],
    ...["-smp", String(spec.cpus), "-m", String(spec.memory)],
    ...["-kernel", spec.kernel, "-initrd", spec.initramfs, "-append", kernelCommandLine(spec.parameters)],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci", "-chardev", `socket,id=control,path=${value(spec.controlSocket)}`],
    ...["-device", `virtserialport,chardev=control,name=${AGENT_PORT}`],
    ...["-chardev", `file,id=log,path=${value(spec.systemLog)},append=on`],
    ...["-device", `virtserialport,chardev=log,name=${LOG_PORT}`],
    ...["-netdev", `stream,id=cluster,server=off,addr.type=unix,addr.path=${value(spec.networkSocket)}`],
    ...["-device", `virtio-net-pci,netdev=cluster,romfile=,mac=${macAddress(spec.node)}`],
    ...spec.disks,
    ...(spec.heartbeat === undefined ? [] : heartbeatDisk(spec.heartbeat)),
    ...["-virtfs", share("host", "/", "readonly=on,multidevs=remap")],
    ...["-virtfs", share("layer", spec.layer, "readonly=on,multidevs=remap")],
    ...["-virtfs", share("out", spec.out, "multidevs=remap")],
  ];
}

/** The serial number by which a node finds its heartbeat's disk. */
const HEARTBEAT_SERIAL = "clusterlock-hb";

export const HEARTBEAT_DEVICE: string = `/dev/disk/by-id/virtio-${HEARTBEAT_SERIAL}`;

// a slot after the shared disks', so that it takes none of their names
const HEARTBEAT_SLOT = "0x18";

// one page cache of one host behind all nodes: what one has written, the others read
function heartbeatDisk(file: string): string[] {
  return [
    ...["-drive", `file=${value(file)},format=raw,if=none,id=heartbeat,cache=writeback,file.locking=off`],
    ...["-device", `virtio-blk-pci,drive=heartbeat,share-rw=on,serial=${HEARTBEAT_SERIAL},addr=${HEARTBEAT_SLOT}`],
  ];
}

export function macAddress(node: number): string {
  return `52:54:00:c1:05:${node.toString(16).padStart(2, "0")}`;
}

export function ipAddress(node: number): string {
  return `10.0.0.${node}`;
}

function share(tag: string, path: string, options: string): string {
  return `local,mount_tag=${tag},security_model=none,path=${value(path)},${options}`;
}

// a comma ends a QEMU option's value unless it is doubled
function value(text: string): string {
  return text.replaceAll(",", ",,");
}

export function kernelCommandLine(parameters: Readonly<Record<string, string>>): string {
  const shell = Object.entries(parameters).map(([name, text]) => `${name}='${text.replaceAll("'", `'\\''`)}'\n`);
  const line = [
    ...["console=ttyS0", "quiet", "panic=-1", "mitigations=off", "nokaslr", "net.ifnames=0"],
    `clusterlock.env=${Buffer.from(shell.join("")).toString("base64")}`,
  ].join(" ");
  if (line.length > MAX_COMMAND_LINE) {
    throw new LabError("the paths of the package, of Node and of the cache are too long for a kernel's command line");
  }
  return line;
}
