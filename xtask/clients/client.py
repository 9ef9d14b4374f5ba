"""One check by httpx, over HTTP/2 alone: client.py CHECK BASE_URL

ROOT is the folder that is served, UPLOAD a file to send. A check that fails raises.
"""

import asyncio
import os
import pathlib
import sys

import httpx

# httpx reads a response when its request is sent: an echo must fit into the window of a stream.
ECHO_BYTES = 60_000


# Byte i is seed * 131 + i * 7 + (i >> 8) * 13: it begins again after 65536 bytes.
PERIOD = bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(65_536))


def pattern(length, seed):
    period = PERIOD.translate(bytes((byte + seed * 131) & 0xFF for byte in range(256)))
    return (period * (length // len(period) + 1))[:length]


def file(name):
    return (pathlib.Path(os.environ["ROOT"]) / name).read_bytes()


def options():
    return {"base_url": sys.argv[2], "http1": False, "http2": True, "verify": False, "timeout": 60, "trust_env": False}


def expect(response, status):
    assert response.http_version == "HTTP/2", response.http_version
    assert response.status_code == status, response.status_code


def same(body, expected):
    assert len(body) == len(expected), f"{len(body)} bytes, {len(expected)} expected"
    assert body == expected, "the content differs"


def page(client):
    response = client.get("/page.html")
    expect(response, 200)
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-length"] == str(len(response.content))
    same(response.content, file("page.html"))


def head(client):
    response = client.head("/page.html")
    expect(response, 200)
    assert response.headers["content-length"] == str(len(file("page.html")))
    assert response.content == b""


def missing(client):
    expect(client.get("/no/such/page.html"), 404)


def download(client):
    response = client.get("/download.bin")
    expect(response, 200)
    same(response.content, file("download.bin"))


def upload(client):
    content = pathlib.Path(os.environ["UPLOAD"]).read_bytes()[: 50 * ECHO_BYTES]
    for start in range(0, len(content), ECHO_BYTES):
        part = content[start : start + ECHO_BYTES]
        response = client.post("/echo", content=part)
        expect(response, 200)
        same(response.content, part)


def parallel(_):
    async def one(client, seed):
        response = await client.get(f"/bytes/{seed * 1000}?seed={seed}")
        expect(response, 200)
        same(response.content, pattern(seed * 1000, seed))

    async def all_of_them():
        async with httpx.AsyncClient(**options()) as client:
            await asyncio.gather(*(one(client, seed) for seed in range(100)))

    asyncio.run(all_of_them())


with httpx.Client(**options()) as client:
    globals()[sys.argv[1]](client)
