"""PyPI `websockets` as a peer: `ws_peer.py serve PORT` echoes; `ws_peer.py client URL` has its messages echoed."""
import asyncio
import os
import sys

import websockets

deflate = {} if os.environ.get("WS_DEFLATE") == "1" else {"compression": None}


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", port, max_size=1 << 25, **deflate):
        await asyncio.get_running_loop().create_future()


async def client(url):
    messages = ["hello", "", "ümläut " * 20000, b"", bytes(3 << 20)]
    async with websockets.connect(url, max_size=1 << 25, **deflate) as socket:
        for message in messages:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(iter(["in ", "frag", "ments"]))
        assert await socket.recv() == "in fragments"
        await (await socket.ping())


role, where = sys.argv[1:]
asyncio.run(serve(int(where)) if role == "serve" else client(where))
