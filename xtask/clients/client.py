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


def text(response, status, expected):
    expect(response, status)
    assert response.text == expected, response.text


def hello(client):
    text(client.get("/hello/Python", params={"times": 2}), 200, "hello, Python\nhello, Python\n")
    expect(client.get("/hello/Python?times=x"), 400)


def sum(client):
    text(client.post("/sum", json=[1, 2, 39]), 200, '{"sum":42}')
    broken = client.post("/sum", content="[1, 2", headers={"content-type": "application/json"})
    expect(broken, 400)


def upper(client):
    pieces = [f"piece {number};" for number in range(100)]
    with client.stream("POST", "/upper", content=(piece.encode() for piece in pieces)) as response:
        expect(response, 200)
        same(b"".join(response.iter_bytes()), "".join(pieces).upper().encode())


def events(client):
    with client.stream("GET", "/ticks") as response:
        expect(response, 200)
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()
        for number in range(3):
            for expected in ("event: tick", f"data: {number}", ""):
                line = next(lines)
                assert line == expected, line
    text(client.get("/hello/again"), 200, "hello, again\n")


def fallback(client):
    text(client.get("/no/such/page"), 404, "nothing at /no/such/page\n")


with httpx.Client(**options()) as client:
    globals()[sys.argv[1]](client)
