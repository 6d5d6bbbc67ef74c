// A child of another user: tries to open, and to create, a lockspace, and sends what it was told.
const { Lockspace } = require("../../../dist/dlm");

const told = (promise) =>
  promise.then(
    () => ({ code: "fine" }),
    ({ code, message }) => ({ code, message }),
  );

async function main() {
  const opened = await told(Lockspace.open(process.argv[2]));
  const created = await told(Lockspace.open("others", { create: true }));
  process.send([opened, created]);
  process.disconnect();
}

main();
