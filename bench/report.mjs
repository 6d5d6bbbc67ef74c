// What was measured, as tables.
import { table } from "./table.mjs";

const rate = (value) => Math.round(value).toLocaleString("en-US");
const ratio = (value) => value.toFixed(2);

function comparison(rates, cpus) {
  const rows = [];
  for (const [workload, parties] of rates) {
    const ours = parties.get("ours").median;
    for (const [name, { median, min, max }] of parties) {
      const versus = name === "ours" ? "" : ratio(ours / median);
      const head = name === "ours" ? [workload, String(cpus[workload])] : ["", ""];
      rows.push([...head, name, rate(median), `${rate(min)} - ${rate(max)}`, rate(1e6 / median), versus]);
    }
  }
  return table(["workload", "CPUs", "party", "median /s", "rounds /s", "µs each", "ours / peer"], rows);
}

function systemCalls(calls) {
  const names = Object.keys(calls.ours).filter((name) => Object.values(calls).some((of) => of[name] >= 0.005));
  const rows = Object.entries(calls).map(([party, of]) => [party, ...names.map((name) => ratio(of[name]))]);
  return table(["system calls of a pair", ...names], rows);
}

function memory({ held, waiting, aborted }) {
  const bytes = ({ rss, heap, external, kernel }) => [rss, heap, external, kernel].map(rate);
  const count = (what, { count }) => `${rate(count)} ${what}`;
  const costs = table(
    ["bytes for each of", "resident", "heap", "external", "in the kernel"],
    [
      [count("held locks", held), ...bytes(held.bytes)],
      [count("waiting requests", waiting), ...bytes(waiting.bytes)],
      // the kernel has what it needs from the locks that were held before
      [count("with a signal each", aborted), ...bytes(aborted.bytes).slice(0, -1), ""],
    ],
  );
  const times = table(
    ["time", "seconds"],
    [
      [`take ${rate(held.count)} locks`, ratio(held.taken)],
      [`release them`, ratio(held.released)],
      [`send ${rate(waiting.count)} requests that wait`, ratio(waiting.asked)],
      [`be granted and release them`, ratio(waiting.grantedAndReleased)],
      [`abort one of ${rate(aborted.count)}`, aborted.oneByOne.toFixed(4)],
      [`abort ${rate(aborted.rest)} at once: all rejected`, ratio(aborted.rejected)],
      [`and all settled`, ratio(aborted.settled)],
    ],
  );
  return `${costs}\n${times}`;
}

function verdicts(gates) {
  const rows = gates.map(({ gate, value, limit, passed }) => [gate, ratio(value), limit, passed ? "pass" : "FAIL"]);
  return table(["gate", "measured", "limit", ""], rows);
}

/** @param {{ facts: object, rates: Map, calls?: object, memory?: object, gates: object[] }} results */
export function report(results) {
  const { facts } = results;
  const parts = [["Linux", facts.kernel, "Node", facts.node, "on", facts.host].filter(Boolean).join(" ") + "\n"];
  if (results.rates.size > 0) parts.push(comparison(results.rates, facts.cpus));
  if (results.calls) parts.push(systemCalls(results.calls));
  if (results.memory) parts.push(memory(results.memory));
  if (results.gates.length > 0) parts.push(verdicts(results.gates));
  return parts.join("\n");
}
