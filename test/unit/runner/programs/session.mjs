// A session of one suite: node session.mjs SPEC LIMIT LEAK_LIMIT, both in milliseconds.
import path from "node:path";

import { runSession } from "../../../../scripts/runner/session.mjs";

const [spec, limit, leakLimit] = process.argv.slice(2);
await runSession((session) =>
  session.suite("fixture", [path.resolve(import.meta.dirname, "../specs", spec)], {
    limit: Number(limit),
    leakLimit: Number(leakLimit),
    grace: 500,
  }),
);
