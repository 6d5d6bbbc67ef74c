// Who started us. npm passes on few signals, the shells that it starts none, and bin/mocha no SIGTERM: a program that must
// not outlive them has to look.
const { readFileSync } = require("node:fs");

const MAX_DEPTH = 6;

/** Our parent, or all ancestors up to npm (or npx) if it is among them. */
function starters() {
  const chain = [];
  for (let pid = process.ppid; chain.length < MAX_DEPTH;) {
    chain.push(pid);
    try {
      // "pid (name) state ppid ..."
      const [, name, parent] = /\((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
      if (/^np[mx]\b/.test(name)) return chain;
      pid = Number(parent);
    } catch {
      break;
    }
  }
  return chain.slice(0, 1);
}

/** Calls back once one of those is gone. Keeps nothing alive. */
function whenOrphaned(callback) {
  const first = starters().join();
  const timer = setInterval(() => {
    if (starters().join() === first) return;
    clearInterval(timer);
    callback();
  }, 500);
  timer.unref();
}

module.exports = { whenOrphaned };
