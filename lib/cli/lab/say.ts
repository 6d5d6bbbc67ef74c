/** One line for the person at the terminal. */
export function say(line: string): void {
  // without a reader there is nobody to tell
  if (!process.stderr.destroyed) process.stderr.write(`clusterlock lab: ${line}\n`);
}
