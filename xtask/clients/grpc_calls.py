"""Calls by grpcio, and checks of their results: grpc_calls.py CALL HOST:PORT [tls]

CALL is one of the four kinds, or a way in which calls do not come to their end. A check that fails raises.
"""

import queue
import ssl
import struct
import sys

import grpc

WORDS = [b"the line ", b"of fastest ", b"flow", b"", b"x" * 100_000]
# The deadline of a call that must exceed it, seconds.
DEADLINE = 0.1


def numbered(number):
    return struct.pack(">I", number) + b"payload"


def unary(channel):
    for message in (b"", b"hello", b"y" * 3_000_000):
        assert channel.unary_unary("/echo.Echo/Unary")(message, timeout=60) == message


def stream(channel):
    copies = list(channel.unary_stream("/echo.Echo/Stream")(numbered(500), timeout=60))
    assert copies == [numbered(number) for number in range(500)], len(copies)


def collect(channel):
    assert channel.stream_unary("/echo.Echo/Collect")(iter(WORDS), timeout=60) == b"".join(WORDS)


def chat(channel):
    """Each word is sent when the one before was received."""
    requests = queue.Queue()
    echo = channel.stream_stream("/echo.Echo/Chat")(iter(requests.get, None), timeout=60)
    for word in WORDS:
        requests.put(word)
        assert next(echo) == word
    requests.put(None)
    assert list(echo) == []


def has_code(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
    else:
        raise AssertionError(f"{code} was expected")


def refused(channel):
    for path, code in (
        ("/echo.Echo/Other", grpc.StatusCode.UNIMPLEMENTED),
        ("/echo.Echo/Stream", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        has_code(code, lambda: channel.unary_unary(path)(b"x", timeout=60))


def deadline(channel):
    """Endless messages."""
    endless = channel.unary_stream("/echo.Echo/Stream")(numbered(2**32 - 1), timeout=DEADLINE)
    has_code(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: [None for _ in endless])
    unary(channel)


def cancel(channel):
    for _ in range(20):
        requests = queue.Queue()
        echo = channel.stream_stream("/echo.Echo/Chat")(iter(requests.get, None), timeout=60)
        requests.put(b"half a word")
        assert next(echo) == b"half a word"
        echo.cancel()
        has_code(grpc.StatusCode.CANCELLED, lambda: next(echo))
        requests.put(None)
    unary(channel)


def connect(target, tls=None):
    if tls is None:
        return grpc.insecure_channel(target)
    # The server creates its own certificate: fetch it, and trust it.
    host, port = target.rsplit(":", 1)
    certificate = ssl.get_server_certificate((host, int(port)))
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate.encode()))


with connect(*sys.argv[2:]) as channel:
    globals()[sys.argv[1]](channel)
