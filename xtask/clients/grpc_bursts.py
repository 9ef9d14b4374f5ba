"""Bursts of cancellations: many gRPC calls over one connection, about half of them cancelled at random
points, some by a timeout of a millisecond. Checks every message that arrives. Prints the result as one
line of JSON.

grpc_bursts.py HOST:PORT CALLS SEED
"""

import asyncio
import json
import random
import struct
import sys

import grpc
from grpc import StatusCode, aio

BURST_MAX = 200
# Concurrent calls: more than the server allows, so that the client's own queue is used as well.
UNDER_WAY_MAX = 300
AFTERWARDS = 64
# Messages of a stream.
SHORT, LONG = 40, 1000
# Windows that do not grow: a long stream waits for its reader, and a cancellation ends it midway.
OPTIONS = (("grpc.http2.lookahead_bytes", 65_535), ("grpc.http2.bdp_probe", 0))

# How a call ends: whole, cancelled with others of its burst, by itself at a random point, or by its
# timeout.
SPARED, SWEPT, CANCELLED, LATE = range(4)


class Wrong(Exception):
    """A message other than the requested one."""


class Report:
    def __init__(self):
        self.counts = dict.fromkeys(("calls", "completed", "cancelled", "late", "wrong", "failed"), 0)
        self.first_failure = ""

    def count(self, what, error=None):
        self.counts["calls"] += 1
        self.counts[what] += 1
        if what in ("wrong", "failed"):
            self.first_failure = self.first_failure or repr(error)

    def line(self):
        return json.dumps({**self.counts, "first_failure": self.first_failure})


def payload(rng):
    size = rng.randrange(100_000) if rng.randrange(10) == 0 else rng.randrange(2000)
    return rng.randbytes(size)


class Calls:
    def __init__(self, channel):
        self.unary = channel.unary_unary("/echo.Echo/Unary")
        self.stream = channel.unary_stream("/echo.Echo/Stream")


async def unary(calls, data, timeout, cancel_after):
    call = calls.unary(data, timeout=timeout)
    if cancel_after is not None:
        asyncio.get_running_loop().call_later(cancel_after, call.cancel)
    reply = await call
    if reply != data:
        raise Wrong(f"{len(reply)} bytes for {len(data)}")


async def stream(calls, data, count, timeout, cancel_after):
    call = calls.stream(struct.pack(">I", count) + data, timeout=timeout)
    number = 0
    if cancel_after == 0:
        call.cancel()
    async for reply in call:
        if reply != struct.pack(">I", number) + data:
            raise Wrong(f"message {number} of {count}")
        number += 1
        if number == cancel_after:
            call.cancel()
    if number != count:
        raise Wrong(f"a stream of {count} ended after {number}")


async def one_call(calls, end, rng, report):
    timeout = rng.choice((0.001, 0.002)) if end == LATE else None
    data = payload(rng)
    try:
        if rng.randrange(5) < 3:
            cancel_after = rng.random() * 0.005 if end == CANCELLED else None
            await unary(calls, data, timeout, cancel_after)
        else:
            # A call that is cancelled is long enough not to end before.
            count = rng.randrange(LONG if end in (SWEPT, CANCELLED) else SHORT)
            cancel_after = rng.randrange(SHORT) if end == CANCELLED else None
            await stream(calls, data[: len(data) % 2000], count, timeout, cancel_after)
        report.count("completed")
    except Wrong as error:
        report.count("wrong", error)
    except aio.AioRpcError as error:
        if end == LATE and error.code() == StatusCode.DEADLINE_EXCEEDED:
            report.count("late")
        elif end in (SWEPT, CANCELLED) and error.code() == StatusCode.CANCELLED:
            report.count("cancelled")
        else:
            report.count("failed", error)
    except asyncio.CancelledError as error:
        report.count("cancelled" if end in (SWEPT, CANCELLED) else "failed", error)


async def bursts(calls, number, rng, report):
    under_way = asyncio.Semaphore(UNDER_WAY_MAX)
    tasks = []

    def sweep(swept):
        for task in swept:
            task.cancel()

    while number > 0:
        size = min(1 + rng.randrange(BURST_MAX), number)
        number -= size
        swept = []
        for _ in range(size):
            end = rng.choice((SWEPT, SWEPT, CANCELLED, LATE)) if rng.randrange(2) == 0 else SPARED
            await under_way.acquire()
            task = asyncio.create_task(one_call(calls, end, random.Random(rng.random()), report))
            # A task that is cancelled before it has begun never counts.
            await asyncio.sleep(0)
            task.add_done_callback(lambda _: under_way.release())
            tasks.append(task)
            if end == SWEPT:
                swept.append(task)
        asyncio.get_running_loop().call_later(rng.random() * 0.02, sweep, swept)
    await asyncio.gather(*tasks)


async def calm(calls, report):
    """Large calls at once, none cancelled: a slot or a window that the bursts have leaked would stall them."""

    async def one(number):
        try:
            await unary(calls, bytes([number]) * 200_000, 60, None)
            report.count("completed")
        except Wrong as error:
            report.count("wrong", error)
        except aio.AioRpcError as error:
            report.count("failed", error)

    await asyncio.gather(*(one(number) for number in range(AFTERWARDS)))


async def main():
    report = Report()
    async with aio.insecure_channel(sys.argv[1], options=OPTIONS) as channel:
        calls = Calls(channel)
        await channel.channel_ready()
        await bursts(calls, int(sys.argv[2]) - AFTERWARDS, random.Random(int(sys.argv[3])), report)
        await calm(calls, report)
    print(report.line())


asyncio.run(main())
