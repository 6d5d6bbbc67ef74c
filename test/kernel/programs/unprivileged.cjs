// Becomes another user, tries to open, and to create, a lockspace, and sends what it was told.
const { Lockspace } = require("../../../dist/dlm");

const told = (promise) =>
  promise.then(
    () => ({ code: "fine" }),
    ({ code, message }) => ({ code, message }),
  );

async function main() {
  // loads the addon while its directory can still be read
  await told(Lockspace.open("absent"));
  process.setgroups([]);
  process.setgid(65534);
  process.setuid(65534);
  const opened = await told(Lockspace.open(process.argv[2]));
  const created = await told(Lockspace.open("others", { create: true }));
  process.send([opened, created]);
  process.disconnect();
}

main();
