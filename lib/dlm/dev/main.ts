// The controller's process; lib/dlm/dev/dev.ts starts it, with the lock on its file held.

import { RunDir } from "./run-dir";
import { run, type Task } from "./service";

void run(process.argv[2] as Task, new RunDir());
