"""What hypercorn serves: files by GET; a body sent by POST or PUT is answered with its sha256."""
import hashlib
import os

ROOT = os.environ["INTEROP_ROOT"]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["method"] == "GET":
        with open(os.path.join(ROOT, os.path.basename(scope["path"])), "rb") as file:
            body = file.read()
    else:
        body = digest.hexdigest().encode() + b"\n"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    for at in range(0, len(body), 65536):
        await send({"type": "http.response.body", "body": body[at : at + 65536], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
