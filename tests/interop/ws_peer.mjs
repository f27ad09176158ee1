// npm `ws` as a peer: `node ws_peer.mjs serve PORT` echoes; `node ws_peer.mjs client URL` has its messages echoed.
// CERT and KEY make it wss; CACERT is what the client trusts; WS_DEFLATE=1 compresses.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
const require = createRequire(process.env.WS_MODULES + "/");
const { WebSocket, WebSocketServer } = require("ws");
const [role, where] = process.argv.slice(2);
const { CERT, KEY, CACERT, WS_DEFLATE } = process.env;
const perMessageDeflate = WS_DEFLATE === "1" ? { threshold: 0 } : false;

if (role === "serve") {
  const how = { perMessageDeflate, maxPayload: 1 << 26 };
  const server = CERT ? createServer({ cert: readFileSync(CERT), key: readFileSync(KEY) }) : null;
  const sockets = new WebSocketServer(server ? { server, ...how } : { host: "127.0.0.1", port: Number(where), ...how });
  sockets.on("connection", (socket, request) => {
    // `/close/CODE` closes after the first message.
    const code = Number(/^\/close\/(\d+)$/.exec(request.url)?.[1]);
    socket.on("message", (data, binary) => {
      if (code) socket.close(code, "as asked");
      else if (binary || data.length < 100) socket.send(data, { binary });
      else {
        // In two fragments, with a PING between them.
        const half = data.subarray(0, data.length >> 1), rest = data.subarray(data.length >> 1);
        socket.send(half, { binary, fin: false });
        socket.ping();
        socket.send(rest, { binary, fin: true });
      }
    });
  });
  server?.listen(Number(where), "127.0.0.1");
} else {
  const socket = new WebSocket(where, { perMessageDeflate, ...(CACERT ? { ca: readFileSync(CACERT) } : {}) });
  const messages = ["hello", "", "ümläut ".repeat(20000), Buffer.alloc(0), Buffer.alloc(3 << 20, 7), Buffer.alloc(16 << 20, 8)];
  let next = 0;
  let pongs = 0;
  const fail = (text) => { console.error(text); process.exit(1); };
  socket.on("open", () => {
    if ((socket.extensions === "") === Boolean(perMessageDeflate)) fail(`extensions: ${socket.extensions}`);
    messages.forEach((m) => socket.send(m));
    ["in ", "frag", "ments"].forEach((part, n) => socket.send(part, { fin: n === 2 }));
    messages.push("in fragments");
    socket.ping("are you there");
  });
  socket.on("pong", (data) => { if (String(data) === "are you there") pongs += 1; });
  socket.on("message", (data, binary) => {
    const sent = messages[next++];
    if (binary !== Buffer.isBuffer(sent) || !Buffer.from(sent).equals(data)) fail(`message ${next} differs`);
    // The PONG is on its way as well.
    if (next === messages.length) setTimeout(() => socket.close(4000, "enough"), 50);
  });
  socket.on("close", (code) => { if (code !== 4000 || next !== messages.length || pongs !== 1) fail(`closed with ${code} after ${next}, ${pongs} pongs`); });
  socket.on("error", (e) => fail(String(e)));
}
