// node end.cjs DOUBLE STATE ENDING: enters the state and ends in the given way.
const { enter } = require("./states.cjs");

const [doublePath, state, ending] = process.argv.slice(2);
enter(doublePath, state).then(() => {
  process.stdout.write("ready\n");
  if (ending === "exit") process.exit(7);
  if (ending === "throw")
    setImmediate(() => {
      throw new Error("uncaught on purpose");
    });
  // "natural": whatever is left decides whether the process goes on
});
