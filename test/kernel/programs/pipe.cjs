// Standard streams to a unix socket and back, as ssh's ProxyCommand. Arguments: the socket, and words to say first.
const [file, ...words] = process.argv.slice(2);
const socket = require("node:net").connect(file);
if (words.length > 0) socket.end(words.join(" "));
else process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("error", () => process.exit(1));
socket.on("close", () => process.exit());
