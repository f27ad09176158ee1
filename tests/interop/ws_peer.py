"""PyPI `websockets` as a peer: `ws_peer.py serve PORT` echoes; `ws_peer.py client URL` has its messages echoed.

CERT and KEY make it wss; CACERT is what the client trusts; WS_DEFLATE=1 compresses.
"""
import asyncio
import os
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

compressed = os.environ.get("WS_DEFLATE") == "1"
deflate = {} if compressed else {"compression": None}


async def echo(socket):
    code = socket.request.path.partition("/close/")[2]
    async for message in socket:
        if code:
            await socket.close(int(code), "as asked")
        elif isinstance(message, str) and len(message) > 100:
            # In fragments.
            await socket.send(iter([message[:50], message[50:99], message[99:]]))
        else:
            await socket.send(message)


async def serve(port):
    tls = None
    if cert := os.environ.get("CERT"):
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cert, os.environ["KEY"])
    async with websockets.serve(echo, "127.0.0.1", port, max_size=1 << 26, ssl=tls, **deflate):
        await asyncio.get_running_loop().create_future()


async def talk(url, **settings):
    messages = ["hello", "", "ümläut " * 20000, b"", bytes(3 << 20)]
    if not compressed:
        messages.append(bytes(range(256)) * (1 << 16))
    tls = ssl.create_default_context(cafile=os.environ["CACERT"]) if url.startswith("wss") else None
    async with websockets.connect(url, max_size=1 << 26, ssl=tls, **settings) as socket:
        extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        assert bool(extensions) == compressed, extensions
        for message in messages:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(iter(["in ", "frag", "ments"]))
        assert await socket.recv() == "in fragments"
        await (await socket.ping())
        await socket.close(4567, "enough")
    assert (socket.close_code, socket.protocol.close_rcvd.code) == (4567, 4567), socket.protocol.close_rcvd
    return extensions


async def client(url):
    await talk(url, **deflate)
    if not compressed:
        return
    # Every parameter that can be asked for.
    for reset in (False, True):
        for bits in (None, 9):
            asked = ClientPerMessageDeflateFactory(
                server_no_context_takeover=reset, client_no_context_takeover=reset,
                server_max_window_bits=bits, client_max_window_bits=bits or True)
            agreed = await talk(url, extensions=[asked], compression=None)
            assert ("server_no_context_takeover" in agreed) == reset, agreed
            assert bits != 9 or "server_max_window_bits=9" in agreed, agreed


role, where = sys.argv[1:]
asyncio.run(serve(int(where)) if role == "serve" else client(where))
