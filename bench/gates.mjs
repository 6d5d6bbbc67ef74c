// Whether what was measured is good enough.
import { GATES } from "./workloads.mjs";

/**
 * @param {Map<string, Map<string, { median: number }>>} rates workload, party: pairs a second
 * @param {number | undefined} callsPerPair
 * @returns {{ gate: string, value: number, limit: string, passed: boolean }[]} one for each gate that was measured
 */
export function judge(rates, callsPerPair, gates = GATES) {
  return gates.flatMap(({ workload, peer, limit }) => {
    if (peer === undefined) {
      if (callsPerPair === undefined) return [];
      const gate = `${workload}: system calls of a pair`;
      return [{ gate, value: callsPerPair, limit: `<= ${limit}`, passed: callsPerPair <= limit }];
    }
    const measured = rates.get(workload);
    if (!measured?.has("ours") || !measured.has(peer)) return [];
    const value = measured.get("ours").median / measured.get(peer).median;
    return [{ gate: `${workload}: ours / ${peer}`, value, limit: `>= ${limit}`, passed: value >= limit }];
  });
}
