import type { NativeAddon } from "../../../lib/native";

function refuse(name: string): () => never {
  return () => {
    throw new Error(`${name}() is not of this test`);
  };
}

/** An addon of which no call may be made: fakes put theirs over it. */
export const NO_ADDON: NativeAddon = {
  openLockspace: refuse("openLockspace"),
  removeLockspace: refuse("removeLockspace"),
  connectAbstract: refuse("connectAbstract"),
  watchUevents: refuse("watchUevents"),
  startOpener: refuse("startOpener"),
  openRegions: refuse("openRegions"),
  openLogSocket: refuse("openLogSocket"),
  openBlockDevice: refuse("openBlockDevice"),
  listDmDevices: refuse("listDmDevices"),
  lockMemory: refuse("lockMemory"),
  setIoFlusher: refuse("setIoFlusher"),
  execute: refuse("execute"),
  lockFile: refuse("lockFile"),
  sendDatagram: refuse("sendDatagram"),
};
