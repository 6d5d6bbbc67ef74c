import type { LogRequest, RequestBody } from "../protocol/requests";

/** A request that was received, and when (CLOCK_MONOTONIC in milliseconds). */
export interface Received {
  readonly request: LogRequest;
  readonly since: number;
}

interface Flight {
  readonly since: number;
  readonly waiting: Received[];
  /** Of FLUSH: what had been marked when it began. */
  readonly marks: unknown;
  /** Of FLUSH: those that have come since more was marked. */
  readonly next: Received[];
}

/**
 * What is asked for is done once at a time. The kernel asks again, under another number, when it has waited for 15 s, and
 * several of its threads can ask for the same at a time: all are answered with what the first brings.
 *
 * FLUSH is different: another thread of the kernel may have marked regions since the one under way began. One that comes
 * after that is answered by a flush that begins after it.
 */
export class InFlight<Result> {
  readonly #flights = new Map<string, Flight>();
  readonly #perform: (request: LogRequest) => Result | Promise<Result>;
  readonly #answer: (received: Received, result: Result) => void;

  readonly #marks: (request: LogRequest) => unknown;

  /** `perform` does not fail. `marks`: the same value as long as nothing more was marked in the log. */
  constructor(
    perform: (request: LogRequest) => Result | Promise<Result>,
    answer: (received: Received, result: Result) => void,
    marks: (request: LogRequest) => unknown,
  ) {
    this.#marks = marks;
    this.#perform = perform;
    this.#answer = answer;
  }

  /** When it was received first, of a request that was joined to one under way. */
  add(received: Received): number | undefined {
    const key = keyOf(received.request);
    const flight = this.#flights.get(key);
    if (!flight) {
      this.#begin(key, [received]);
      return undefined;
    }
    const { request } = received;
    const later = request.body.name === "FLUSH" && flight.marks !== this.#marks(request);
    (later ? flight.next : flight.waiting).push(received);
    return flight.since;
  }

  #begin(key: string, waiting: [Received, ...Received[]]): void {
    const [{ request, since }] = waiting;
    const result = this.#perform(request);
    if (!(result instanceof Promise)) {
      for (const received of waiting) this.#answer(received, result);
      return;
    }
    const flight: Flight = { since, waiting, marks: this.#marks(request), next: [] };
    this.#flights.set(key, flight);
    void result.then((found) => {
      this.#flights.delete(key);
      for (const received of waiting) this.#answer(received, found);
      const [first, ...more] = flight.next;
      if (first) this.#begin(key, [first, ...more]);
    });
  }
}

function keyOf({ flavour, uuid, luid, body }: LogRequest): string {
  return [flavour, luid, body.name, payloadOf(body), uuid].join("\0");
}

function payloadOf(body: RequestBody): string {
  if (body.name === "CTR") return JSON.stringify([body.reconnect, ...body.words]);
  if ("regions" in body) return body.regions.join();
  if ("inSync" in body) return `${body.region},${body.inSync}`;
  return "region" in body ? String(body.region) : "";
}
