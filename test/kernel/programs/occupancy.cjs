// Who is in a critical section, as one process sees it: it serves whoever asks, and nothing it knows comes from the lock
// or its value. `occupancy.cjs` alone is that process; it prints what it saw when its standard input has ended.
const { once } = require("node:events");
const net = require("node:net");

const PORT = 7001;

function serve() {
  const seen = { entries: 0, most: 0 };
  let inside = 0;
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    // a client waits for each answer, so that every chunk is one word
    socket.on("data", (chunk) => {
      if (String(chunk) === "+") {
        inside++;
        seen.entries++;
        seen.most = Math.max(seen.most, inside);
      } else {
        inside--;
      }
      socket.write("!");
    });
    socket.on("error", () => undefined);
  });
  server.listen(PORT, () => process.stdout.write("ready\n"));
  process.stdin.resume().once("end", () => {
    process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit());
  });
}

/** To be told by a holder of the lock: when it has it, and before it gives it back. Both wait until it is on record. */
class Occupancy {
  #socket;

  static async at(host) {
    const socket = net.connect(PORT, host);
    await once(socket, "connect");
    return new Occupancy(socket);
  }

  constructor(socket) {
    socket.setNoDelay(true);
    this.#socket = socket;
  }

  enter() {
    return this.#say("+");
  }

  leave() {
    return this.#say("-");
  }

  close() {
    this.#socket.destroy();
  }

  async #say(word) {
    this.#socket.write(word);
    await once(this.#socket, "data");
  }
}

module.exports = { Occupancy };
if (require.main === module) serve();
