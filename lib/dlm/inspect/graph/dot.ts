// The graph for Graphviz.

import { findDeadlocks } from "./deadlocks";
import type { LockOwner, WaitForGraph } from "./wait-for";

const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

function label({ id, command }: LockOwner): string {
  if (command === undefined) return id;
  return `${id}: ${command.length > 40 ? `${command.slice(0, 39)}…` : command}`;
}

/** A wait-for graph in Graphviz's language: an arrow from who waits to whom he waits for. Deadlocks are red. */
export function waitForDot(graph: WaitForGraph): string {
  const stuck = new Set(
    findDeadlocks(graph).flatMap(({ cycle }) => cycle.map(({ wait }) => `${wait.owner}\0${wait.lkid}`)),
  );
  const lines = graph.owners.map((owner) => `  ${quote(owner.id)} [label=${quote(label(owner))}];`);
  for (const wait of graph.waits) {
    const what = `${wait.resource} ${wait.mode === undefined ? "" : `${wait.mode}→`}${wait.requested ?? "?"}`;
    const red = stuck.has(`${wait.owner}\0${wait.lkid}`) ? ', color="red"' : "";
    const targets = new Map(wait.blockers.map(({ owner, reason }) => [owner, reason]));
    for (const [owner, reason] of targets) {
      const style = reason === "ahead" ? ', style="dashed"' : "";
      lines.push(`  ${quote(wait.owner)} -> ${quote(owner)} [label=${quote(what)}${style}${red}];`);
    }
  }
  return `digraph waits {\n  node [shape="box"];\n${lines.join("\n")}\n}\n`;
}
