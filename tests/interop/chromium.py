"""Headless Chromium as a WebSocket client: `chromium.py URL STATUS` has a page of URL open sockets to it.

URL is that of `serve`, http or https; STATUS is that of the handshake: 101, or 200 where it goes over HTTP/2 (RFC 8441).
"""
import asyncio
import json
import re
import subprocess
import sys
import tempfile

import websockets

COMMAND = """chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--ignore-certificate-errors --remote-debugging-port=0 about:blank""".split()

# Texts and bytes of all lengths come back as they were; then it closes with a code of its own.
SCRIPT = """
new Promise((done) => {
  const socket = new WebSocket(location.href.replace(/^http/, "ws") + "chat", []);
  socket.binaryType = "arraybuffer";
  const sent = ["hello", "", "ümläut ".repeat(20000)];
  for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20])
    sent.push(Uint8Array.from({ length: n }, (_, i) => i * 7));
  let next = 0;
  const same = (a, b) => typeof a === "string" ? a === b : a.length === b.byteLength && new Uint8Array(b).every((x, i) => x === a[i]);
  socket.onopen = () => sent.forEach((message) => socket.send(message));
  socket.onmessage = (event) => {
    if (!same(sent[next], event.data)) done(`message ${next} differs`);
    if (++next === sent.length) socket.close(4321, "enough");
  };
  socket.onclose = (event) => done(`${next} messages, ${event.code}, clean ${event.wasClean}, extensions '${socket.extensions}'`);
})
"""
EXPECTED = "10 messages, 4321, clean true, extensions 'permessage-deflate'"


async def call(tab, method, **params):
    """Sends a command; returns its answer and the events that came before."""
    await tab.send(json.dumps({"id": 1, "method": method, "params": params}))
    events = []
    while True:
        message = json.loads(await asyncio.wait_for(tab.recv(), 30))
        if message.get("id") == 1:
            if "error" in message:
                sys.exit(f"{method}: {message['error']}")
            return message["result"], events
        events.append(message)


async def main(url, status, port):
    fetch = lambda method, path: subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-X", method, f"http://127.0.0.1:{port}{path}"], capture_output=True, check=True).stdout
    tab = json.loads(fetch("PUT", "/json/new?about:blank"))["webSocketDebuggerUrl"]
    async with websockets.connect(tab, max_size=None, proxy=None) as tab:
        await call(tab, "Network.enable")
        await call(tab, "Page.enable")
        await call(tab, "Page.navigate", url=url)
        while json.loads(await asyncio.wait_for(tab.recv(), 30)).get("method") != "Page.loadEventFired":
            pass
        result, events = await call(tab, "Runtime.evaluate", expression=SCRIPT, awaitPromise=True)
    heads = [e["params"]["response"] for e in events if e["method"] == "Network.webSocketHandshakeResponseReceived"]
    print(result["result"].get("value"), [head["status"] for head in heads])
    if result["result"].get("value") != EXPECTED or [head["status"] for head in heads] != [int(status)]:
        sys.exit(1)


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = subprocess.Popen([*COMMAND, f"--user-data-dir={profile}"], stderr=subprocess.PIPE, text=True)
    try:
        for line in browser.stderr:
            if found := re.search(r"DevTools listening on ws://127.0.0.1:(\d+)/", line):
                asyncio.run(main(sys.argv[1], sys.argv[2], found[1]))
                break
        else:
            sys.exit("the browser does not start")
    finally:
        browser.terminate()
        browser.wait()
