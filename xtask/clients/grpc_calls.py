"""A call of each kind by grpcio, and one that is refused: grpc_calls.py HOST:PORT. A check that fails raises."""

import struct
import sys

import grpc

WORDS = [b"the line ", b"of fastest ", b"flow", b"", b"x" * 100_000]

with grpc.insecure_channel(sys.argv[1]) as channel:
    for message in (b"", b"hello", b"y" * 3_000_000):
        assert channel.unary_unary("/echo.Echo/Unary")(message, timeout=60) == message

    copies = list(channel.unary_stream("/echo.Echo/Stream")(struct.pack(">I", 500) + b"payload", timeout=60))
    assert copies == [struct.pack(">I", number) + b"payload" for number in range(500)], len(copies)

    assert channel.stream_unary("/echo.Echo/Collect")(iter(WORDS), timeout=60) == b"".join(WORDS)

    echoes = channel.stream_stream("/echo.Echo/Chat")(iter(WORDS), timeout=60)
    assert list(echoes) == WORDS

    for path, code in (
        ("/echo.Echo/Other", grpc.StatusCode.UNIMPLEMENTED),
        ("/echo.Echo/Stream", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        try:
            channel.unary_unary(path)(b"x", timeout=60)
        except grpc.RpcError as error:
            assert error.code() == code, error
        else:
            raise AssertionError(f"{path} is answered")
