// A session of one suite: node session.mjs SPEC LIMIT LEAK_LIMIT, both in milliseconds. SPEC,SPEC: side by side.
import path from "node:path";

import { runSession } from "../../../../scripts/runner/session.mjs";

const [spec, limit, leakLimit] = process.argv.slice(2);
const options = { limit: Number(limit), leakLimit: Number(leakLimit), grace: 500 };
const find = (name) => [path.resolve(import.meta.dirname, "../specs", name)];
await runSession((session) =>
  spec.includes(",")
    ? session.lanes(
        "fixture",
        spec.split(",").map((name) => ({ name, specs: find(name) })),
        options,
      )
    : session.suite("fixture", find(spec), options),
);
