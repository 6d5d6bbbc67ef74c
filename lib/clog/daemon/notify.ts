// What systemd is told: sd_notify(3), sd_watchdog_enabled(3).

import { native } from "../../native";

/** Changes of the status line within so much time are told as one. */
const STATUS_MS = 1_000;

/** Speaks to the service manager, or to nobody when there is none. Never waits; a word that is lost is lost. */
export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #watchdogMs: number | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #told = "";
  #next = "";

  private constructor(socket: string | undefined, watchdogMs: number | undefined) {
    this.#socket = socket;
    this.#watchdogMs = watchdogMs;
  }

  /** Takes its variables out of the environment: they are not for a child of this process. */
  static from(env: NodeJS.ProcessEnv): ServiceManager {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) Reflect.deleteProperty(env, name);
    const usable = socket !== undefined && /^[/@]./.test(socket);
    const watched = usable && /^[1-9]\d*$/.test(usec ?? "") && (pid === undefined || Number(pid) === process.pid);
    return new ServiceManager(usable ? socket : undefined, watched ? Number(usec) / 1_000 : undefined);
  }

  /** Requests are served. From now on the watchdog is fed, when there is one: by the event loop, so that a loop that is
   * stuck is noticed. */
  ready(status: string): void {
    this.#told = this.#next = status;
    this.#tell(`READY=1\nSTATUS=${status}`);
    if (this.#watchdogMs === undefined || this.#socket === undefined) return;
    const feed = (): void => {
      this.#tell("WATCHDOG=1");
    };
    feed();
    // half of what is allowed, as sd_watchdog_enabled(3) advises
    this.#watchdog = setInterval(feed, this.#watchdogMs / 2);
    this.#watchdog.unref();
  }

  status(line: string): void {
    this.#next = line;
    if (this.#socket === undefined || this.#later !== undefined) return;
    this.#later = setTimeout(() => {
      this.#later = undefined;
      if (this.#next === this.#told) return;
      this.#told = this.#next;
      this.#tell(`STATUS=${this.#told}`);
    }, STATUS_MS);
    this.#later.unref();
  }

  stopping(): void {
    clearTimeout(this.#later);
    clearInterval(this.#watchdog);
    this.#tell("STOPPING=1");
  }

  #tell(text: string): void {
    if (this.#socket !== undefined) native().sendDatagram(this.#socket, text);
  }
}
