"""What httpx is tried with: client.py URL FILE CA. Both versions over TLS, HTTP/1.1 in the clear, HTTP/2 there by prior knowledge."""

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

url, path, ca = sys.argv[1:]
with open(path, "rb") as file:
    big = file.read()


def chunks():
    for at in range(0, len(big), 70_000):
        yield big[at : at + 70_000]


def tried(version, **how):
    with httpx.Client(verify=ca, timeout=60, **how) as client:
        first = client.get(f"{url}/bytes/1000")
        assert (first.status_code, first.http_version, len(first.content)) == (200, version, 1000), first
        assert client.get(f"{url}/none").status_code == 404
        assert client.head(f"{url}/files/big").headers["content-length"] == str(len(big))
        assert client.get(f"{url}/files/big").content == big, "download"
        assert client.post(f"{url}/echo", content=big).content == big, "upload"
        assert client.post(f"{url}/echo", content=chunks()).content == big, "upload without a length"
        # On one connection of HTTP/2 its threads send HEADERS out of the order of their streams, which ends the connection.
        with ThreadPoolExecutor(16 if version == "HTTP/1.1" else 1) as pool:
            sizes = list(pool.map(lambda n: len(client.get(f"{url}/bytes/{n}").content), range(500)))
        assert sizes == list(range(500)), "500 more"


tried("HTTP/1.1", http1=True, http2=False)
tried("HTTP/2", http1=False, http2=True)
