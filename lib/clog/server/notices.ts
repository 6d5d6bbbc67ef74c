import type { LogIdentity, LogReport } from "../log/dirty-log";
import type { RequestName } from "../protocol/requests";

import { asError } from "./errno";
import type { LogEvent, LogTrouble } from "./events";
import type { LogInstance } from "./instance";

/** Where what happens is told. */
export interface Told {
  log(event: LogEvent): void;
  report(report: LogIdentity & LogReport): void;
  trouble(trouble: LogTrouble): void;
}

/** What there is to tell of a log's life. */
export class Notices {
  readonly #told: Told;

  constructor(told: Told) {
    this.#told = told;
  }

  step({ uuid, luid, parameters }: LogInstance, action: LogEvent["action"]): void {
    this.#told.log({ action, uuid, luid, type: parameters?.type ?? "" });
  }

  report({ uuid, luid }: LogIdentity, report: LogReport): void {
    this.#told.report({ ...report, uuid, luid });
  }

  requestFailed({ uuid, luid }: LogIdentity, request: RequestName, thrown: unknown): void {
    this.#told.trouble({ kind: "request-failed", uuid, luid, request, error: asError(thrown) });
  }

  constructionFailed({ uuid, luid }: LogIdentity, thrown: unknown): void {
    this.#told.trouble({ kind: "construction-failed", uuid, luid, error: asError(thrown) });
  }

  resumeMissed({ uuid, luid }: LogIdentity, request: RequestName): void {
    this.#told.trouble({ kind: "missed-resume", uuid, luid, request });
  }

  uuidShared({ uuid, luid }: LogIdentity, mirrors: string[]): void {
    this.#told.trouble({ kind: "uuid-shared", uuid, luid, mirrors });
  }

  notKept({ uuid, luid }: LogIdentity, thrown: unknown): void {
    this.#told.trouble({ kind: "not-kept", uuid, luid, error: asError(thrown) });
  }

  damaged(path: string, reason: string): void {
    this.#told.trouble({ kind: "damaged", path, reason });
  }
}
