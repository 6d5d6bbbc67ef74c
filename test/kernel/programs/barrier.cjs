// Where processes of several nodes wait for each other: each has a connection to each other one, so that a barrier costs
// one message from everybody to everybody, at the same time.
const { once } = require("node:events");
const net = require("node:net");

const PORT = 7000;
const RETRY_MS = 50;

async function connect(host) {
  for (;;) {
    const socket = net.connect(PORT, host);
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (error.code !== "ECONNREFUSED") throw error;
      // it is not listening yet
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

class Barrier {
  #sockets;
  #arrived;
  #meeting;
  #broken;

  /** Resolves when this node, 1 to `nodes`, is connected to all others, which have to come too. */
  static async join(node, nodes) {
    const later = nodes - node;
    const server = net.createServer().listen(PORT);
    const incoming = [];
    const all = new Promise((resolve) => {
      server.on("connection", (socket) => incoming.push(socket) === later && resolve());
    });
    await once(server, "listening");
    const outgoing = await Promise.all(Array.from({ length: node - 1 }, (_, index) => connect(`node${index + 1}`)));
    if (later > 0) await all;
    server.close();
    return new Barrier([...outgoing, ...incoming]);
  }

  constructor(sockets) {
    this.#sockets = sockets;
    this.#arrived = sockets.map(() => 0);
    for (const [index, socket] of sockets.entries()) {
      socket.setNoDelay(true);
      socket.on("data", (chunk) => {
        this.#arrived[index] += chunk.length;
        this.#look();
      });
      socket.once("close", () => {
        this.#broken = new Error("another process has left the barrier");
        this.#meeting?.reject(this.#broken);
      });
      socket.on("error", () => undefined);
    }
  }

  /** Resolves when all are here. */
  async wait() {
    for (const socket of this.#sockets) socket.write(".");
    await new Promise((resolve, reject) => {
      this.#meeting = { resolve, reject };
      this.#look();
    });
  }

  /** After the last wait. */
  leave() {
    for (const socket of this.#sockets) socket.end();
  }

  #look() {
    if (!this.#meeting) return;
    if (this.#arrived.every((count) => count > 0)) {
      this.#arrived = this.#arrived.map((count) => count - 1);
      this.#meeting.resolve();
      this.#meeting = undefined;
    } else if (this.#broken) {
      this.#meeting.reject(this.#broken);
    }
  }
}

module.exports = { Barrier };
