import { constants } from "node:os";

import { ClogError } from "../../errors";

/** What `task` comes to, or a {@link ClogError} (ETIMEDOUT) after so many milliseconds. The task goes on all the same. */
export function within<T>(milliseconds: number, task: Promise<T>, syscall: string, hint: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new ClogError({ errno: -constants.errno.ETIMEDOUT, syscall, hint }));
    }, milliseconds);
    task
      .finally(() => {
        clearTimeout(timer);
      })
      .then(resolve, reject);
  });
}
