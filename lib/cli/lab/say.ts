/** One line for the person at the terminal. */
export function say(line: string): void {
  process.stderr.write(`clusterlock lab: ${line}\n`);
}
