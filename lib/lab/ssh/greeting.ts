// What the agent says first. Whatever comes before it is a login's chatter.

export interface Greeting {
  /** Another one after every boot. */
  readonly bootId: string;
  /** The agent's $SSH_CONNECTION: the addresses and ports that ssh goes over, as the host sees them. */
  readonly connection: string;
}

const MARK = "clusterlock-agent ";
const MAX_CHATTER = 256 * 1024;

export function formatGreeting(greeting: Greeting): string {
  return `\n${MARK}${JSON.stringify(greeting)}\n`;
}

/** The agent's messages: all bytes after its greeting. */
export async function* afterGreeting(
  from: AsyncIterable<Buffer>,
  onGreeting: (greeting: Greeting) => void,
): AsyncGenerator<Buffer> {
  let before: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of from) {
    if (before === undefined) {
      yield chunk;
      continue;
    }
    before = Buffer.concat([before, chunk]);
    const start = before.indexOf(`\n${MARK}`);
    const end = start < 0 ? -1 : before.indexOf("\n", start + 1);
    if (end >= 0) {
      const line = before.toString("utf8", start + 1 + MARK.length, end);
      onGreeting(JSON.parse(line) as Greeting);
      const rest = before.subarray(end + 1);
      before = undefined;
      if (rest.length > 0) yield rest;
    } else if (before.length > MAX_CHATTER) {
      throw new Error("the login says much, and no agent starts");
    }
  }
}
