import type { NativeLogStats } from "../../native";
import { REQUEST_NAMES, type RequestName, requestNumber } from "../protocol/requests";

/** How long answers took, in microseconds, from the request's receipt on. */
export interface Latency {
  /** Half of them took less, and 99 of 100: upper bounds, which a factor of 2 separates from the next lower one. */
  p50: number;
  p99: number;
  max: number;
  /** `buckets[i]`: how many took less than 2^i and not less than 2^(i-1); the last has all that took longer. */
  buckets: readonly number[];
}

export interface RequestStatistics {
  /** Answers. */
  count: number;
  latency: Latency;
}

/** Since the server has begun. */
export interface LogServerStatistics {
  requests: Record<RequestName, RequestStatistics>;
  /** Requests that were received. */
  received: number;
  /** Of these: answered in the receive thread; handed to JavaScript. */
  fast: number;
  slow: number;
  /** Asked for again by the kernel, which had no answer in 15 s. */
  retries: number;
  /** Asked for while the same was under way, retries among them. */
  coalesced: number;
  /** Not answered: of foreign senders, malformed, or so old that the kernel has asked again. */
  dropped: number;
  /** Times that requests were lost because they came faster than they were received. */
  overruns: number;
}

export interface Counts {
  retries: number;
  coalesced: number;
  dropped: number;
}

export function mergeStatistics(
  { received, fast, slow, dropped, overruns, latency, longest }: NativeLogStats,
  counts: Counts,
): LogServerStatistics {
  const requests = Object.fromEntries(
    REQUEST_NAMES.map((name) => {
      const number = requestNumber(name);
      return [name, summarise(latency[number] ?? [], longest[number] ?? 0)];
    }),
  ) as Record<RequestName, RequestStatistics>;
  const { retries, coalesced } = counts;
  return { requests, received, fast, slow, retries, coalesced, dropped: dropped + counts.dropped, overruns };
}

function summarise(buckets: readonly number[], max: number): RequestStatistics {
  const count = buckets.reduce((sum, number) => sum + number, 0);
  const latency = { p50: percentile(buckets, count, max, 0.5), p99: percentile(buckets, count, max, 0.99), max };
  return { count, latency: { ...latency, buckets } };
}

function percentile(buckets: readonly number[], count: number, max: number, share: number): number {
  let seen = 0;
  for (const [power, number] of buckets.entries()) {
    seen += number;
    // the last bucket has no bound of its own
    if (seen > 0 && seen >= count * share) return power === buckets.length - 1 ? max : Math.min(2 ** power, max);
  }
  return 0;
}
