import { DomainWatch } from "./domain-watch";
import { HeartbeatProbe } from "./heartbeat";

/** Watches over this node's part in an o2cb cluster. */
export class HeartbeatWatch extends DomainWatch {
  readonly #probe = new HeartbeatProbe();
  #looking = false;

  constructor() {
    super();
    setImmediate(() => {
      this.look();
    }).unref();
  }

  protected look(): void {
    if (this.over || this.#probe.beats || this.#looking) return;
    this.#looking = true;
    void this.#probe.look().then((beats) => {
      this.#looking = false;
      if (beats === false) this.lose("this node's heartbeat was ended, and the other nodes take its locks over");
    });
  }

  protected release(): void {
    this.#probe.close();
  }
}
