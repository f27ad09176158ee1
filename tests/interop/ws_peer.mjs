// npm `ws` as a peer: `node ws_peer.mjs serve PORT` echoes; `node ws_peer.mjs client URL` has its messages echoed.
import { createRequire } from "node:module";
const require = createRequire(process.env.WS_MODULES + "/");
const { WebSocket, WebSocketServer } = require("ws");
const [role, where] = process.argv.slice(2);
const perMessageDeflate = process.env.WS_DEFLATE === "1" ? { threshold: 0 } : false;

if (role === "serve") {
  const server = new WebSocketServer({ host: "127.0.0.1", port: Number(where), perMessageDeflate });
  server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
} else {
  const socket = new WebSocket(where, { perMessageDeflate });
  const messages = ["hello", "", "ümläut ".repeat(20000), Buffer.alloc(0), Buffer.alloc(3 << 20, 7)];
  let next = 0;
  let pongs = 0;
  const fail = (text) => { console.error(text); process.exit(1); };
  socket.on("open", () => { messages.forEach((m) => socket.send(m)); socket.ping("are you there"); });
  socket.on("pong", (data) => { if (String(data) === "are you there") pongs += 1; });
  socket.on("message", (data, binary) => {
    const sent = messages[next++];
    if (binary !== Buffer.isBuffer(sent) || !Buffer.from(sent).equals(data)) fail(`message ${next} differs`);
    if (next === messages.length) setTimeout(() => socket.close(4000, "enough"), 50);
  });
  socket.on("close", (code) => { if (code !== 4000 || next !== messages.length || pongs !== 1) fail(`closed with ${code} after ${next}, ${pongs} pongs`); });
  socket.on("error", (e) => fail(String(e)));
}
