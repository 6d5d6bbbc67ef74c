// What the journal of leader.mjs proves. Its lines are in the order in which they were written, on whatever node. Whoever
// writes "leads" is the leader from there on. A leader that writes anything after another one's "leads" has led at the
// same time.

/** Who led, one after another; how often leaders did something; and the first line, if any, that a second leader wrote. */
export function readJournal(text) {
  const terms = [];
  let works = 0;
  for (const [index, line] of text.trimEnd().split("\n").entries()) {
    const [node, ...words] = line.split(" ");
    if (words.join(" ") === "leads") terms.push(node);
    else works++;
    if (node !== terms.at(-1)) {
      return {
        terms,
        works,
        second: `two leaders at once: ${node} still ${words.join(" ")} while ${terms.at(-1)} leads, line ${index + 1}`,
      };
    }
  }
  return { terms, works, second: undefined };
}
