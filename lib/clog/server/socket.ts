import { constants } from "node:os";

import { ClogError } from "../../errors";
import { type NativeLogPacket, type NativeLogSocket, type NativeLogTrouble, native } from "../../native";

import { connectorSockets, ownerOf } from "./listeners";

const { EADDRINUSE, EAFNOSUPPORT, EPERM, EPROTONOSUPPORT } = constants.errno;

/** @throws ClogError that says what to do */
export function openSocket(
  port: number,
  receiveBuffer: number,
  onRequests: (requests: NativeLogPacket[]) => void,
  onTrouble: (trouble: NativeLogTrouble) => void,
): Promise<NativeLogSocket> {
  return new Promise((resolve, reject) => {
    native().openLogSocket(
      port,
      receiveBuffer,
      (failure, socket) => {
        if (socket) resolve(socket);
        else void explain(failure?.errno ?? 0, failure?.syscall ?? "socket", port).then(reject);
      },
      onRequests,
      onTrouble,
    );
  });
}

async function explain(errno: number, syscall: string, port: number): Promise<ClogError> {
  return new ClogError({ errno, syscall, hint: await hint(-errno, syscall, port) });
}

async function hint(errno: number, syscall: string, port: number): Promise<string | undefined> {
  switch (errno) {
    case EADDRINUSE:
      return alreadyRunning(port);
    case EPERM:
      return syscall === "setsockopt"
        ? "hearing the kernel's requests needs CAP_NET_ADMIN; run it as root"
        : "a connector socket was refused; run it as root, and look at what confines this process (seccomp, SELinux)";
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return "this kernel has no connector (CONFIG_CONNECTOR), or its module could not be loaded; try: modprobe cn";
    default:
      return undefined;
  }
}

/** What to tell when another server has the port. */
export async function alreadyRunning(port: number): Promise<string> {
  const sockets = await connectorSockets().catch(() => []);
  const holder = sockets.find((socket) => socket.port === port);
  const owner = holder && (await ownerOf(holder.inode).catch(() => undefined));
  const named = owner ? ` as process ${owner.pid}${owner.command ? ` (${owner.command})` : ""}` : "";
  return `another daemon is already running${named}; a machine has one, so end that first`;
}
