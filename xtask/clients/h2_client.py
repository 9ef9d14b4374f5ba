"""A client with rare behaviour, one check over one connection: h2_client.py CHECK HOST:PORT

h2 watches every frame of the server and raises where one breaks a rule; frames that h2 would not send are written by hand. A check
that fails raises.
"""

import socket
import sys

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Encoder
from hyperframe import frame

# Byte i is seed * 131 + i * 7 + (i >> 8) * 13: it begins again after 65536 bytes.
PERIOD = bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(65_536))
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]


def pattern(length, seed):
    period = PERIOD.translate(bytes((byte + seed * 131) & 0xFF for byte in range(256)))
    return (period * (length // len(period) + 1))[:length]


def request(path, method="GET"):
    return [(":method", method), *REQUEST[1:3], (":path", path)]


class Peer:
    """A connection, and what was received on it."""

    def __init__(self, address, settings=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        if settings:
            self.h2.local_settings.update(settings)
            self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.events = []

    def flush(self, piece_bytes=1 << 20):
        data = self.h2.data_to_send()
        for start in range(0, len(data), piece_bytes):
            self.socket.sendall(data[start : start + piece_bytes])

    def write(self, *frames):
        """Sends frames of its own after the output of h2."""
        self.flush()
        self.socket.sendall(b"".join(one.serialize() for one in frames))

    def receive(self):
        """The next events; `None` at the end of the connection."""
        data = self.socket.recv(65_536)
        if not data:
            return None
        events = self.h2.receive_data(data)
        self.events += events
        return events

    def until(self, is_wanted, on_event=lambda event: None):
        """Reads up to an event, and acts on those before it."""
        while True:
            events = self.receive()
            assert events is not None, f"the connection ended after {self.events[-3:]}"
            for event in events:
                on_event(event)
            self.flush()
            found = [event for event in events if is_wanted(event)]
            if found:
                return found[0]

    def credit(self, event):
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def response(self, stream):
        """Reads a response to its end: its status and its content."""
        self.until(lambda event: isinstance(event, h2.events.StreamEnded) and event.stream_id == stream, self.credit)
        return self.status(stream), self.content(stream)

    def status(self, stream):
        heads = [e for e in self.events if isinstance(e, h2.events.ResponseReceived) and e.stream_id == stream]
        assert len(heads) == 1, heads
        return dict(heads[0].headers)[b":status"]

    def content(self, stream):
        return b"".join(
            e.data for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream
        )

    def settled(self):
        """Waits until each side has acknowledged the settings of the other."""
        self.flush()
        self.until(lambda event: isinstance(event, h2.events.SettingsAcknowledged))

    def fetch(self, length=1000, seed=3):
        """An ordinary request, to check that the connection still works."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, request(f"/bytes/{length}?seed={seed}"), end_stream=True)
        self.flush()
        status, content = self.response(stream)
        assert status == b"200", status
        assert content == pattern(length, seed), f"{len(content)} bytes"


def bytes_one_by_one(address):
    """Each byte is sent by itself: preface, SETTINGS, HEADERS and DATA are split everywhere."""
    peer = Peer(address)
    peer.h2.send_headers(1, request("/echo", "POST"))
    peer.h2.send_data(1, b"abc", end_stream=True)
    peer.flush(piece_bytes=1)
    assert peer.response(1) == (b"200", b"abc")


def continuations(address):
    """A header block in HEADERS and CONTINUATION, with padding and the old priority fields."""
    peer = Peer(address)
    peer.settled()
    block = Encoder().encode([*request("/bytes/100?seed=3"), ("x-long", "x" * 100)])
    head = frame.HeadersFrame(1, block[:10], flags=["END_STREAM", "PADDED", "PRIORITY"], pad_length=7)
    head.depends_on, head.stream_weight, head.exclusive = 0, 15, False
    middle = frame.ContinuationFrame(1, block[10:11])
    last = frame.ContinuationFrame(1, block[11:], flags=["END_HEADERS"])
    # h2 must know the stream, but its output for it is discarded.
    peer.h2.send_headers(1, request("/"), end_stream=True)
    peer.h2.clear_outbound_data_buffer()
    peer.write(head, middle, last)
    assert peer.response(1) == (b"200", pattern(100, 3))


def padding(address):
    """Padded DATA: the padding counts for the windows, and not for the content."""
    peer = Peer(address)
    peer.settled()
    peer.h2.send_headers(1, request("/echo", "POST"))
    sent = b""
    for number in range(600):
        part = bytes([number & 0xFF]) * 100
        padded = len(part) + 256
        while min(peer.h2.local_flow_control_window(1), peer.h2.max_outbound_frame_size) < padded:
            peer.until(lambda event: isinstance(event, h2.events.WindowUpdated), peer.credit)
        peer.h2.send_data(1, part, pad_length=255)
        sent += part
        peer.flush()
    peer.h2.end_stream(1)
    peer.flush()
    assert peer.response(1) == (b"200", sent)


def small_window(address):
    """A window of one byte: DATA of one byte each, and never more than is allowed, which h2 checks."""
    peer = Peer(address, {SettingCodes.INITIAL_WINDOW_SIZE: 1})
    peer.fetch(length=100)
    sizes = [e.flow_controlled_length for e in peer.events if isinstance(e, h2.events.DataReceived)]
    assert max(sizes) == 1, sizes


def window_shrinks(address):
    """The window of a stream is reduced while it sends: it waits until the window is above zero again."""
    peer = Peer(address)
    peer.settled()
    peer.h2.send_headers(1, request("/bytes/100000?seed=3"), end_stream=True)
    peer.flush()
    peer.until(lambda _: len(peer.content(1)) == 65_535)
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    peer.flush()
    peer.until(lambda event: isinstance(event, h2.events.SettingsAcknowledged))
    # The window is at 10 - 65535: this much leaves it at zero.
    peer.h2.increment_flow_control_window(65_525, 1)
    peer.h2.increment_flow_control_window(100_000)
    peer.h2.ping(b"anything")
    peer.flush()
    peer.until(lambda event: isinstance(event, h2.events.PingAckReceived))
    assert len(peer.content(1)) == 65_535, "it did not wait"
    peer.h2.increment_flow_control_window(100_000, 1)
    peer.flush()
    assert peer.response(1) == (b"200", pattern(100_000, 3))


def settings_change(address):
    """Between requests the dynamic table is disabled and enabled again, and the frame size is raised."""
    peer = Peer(address)
    peer.settled()
    for table, size in ((0, 16_384), (100, 65_536), (65_536, 16_384)):
        peer.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: table, SettingCodes.MAX_FRAME_SIZE: size})
        # Allowed at once, but h2 accepts a longer frame only in a read after the acknowledgement.
        peer.settled()
        peer.fetch(length=50_000)
        peer.fetch(length=50_000)


def pings(address):
    """Each PING is acknowledged with its own bytes, in order."""
    peer = Peer(address)
    sent = [bytes([number]) * 8 for number in range(20)]
    for payload in sent:
        peer.h2.ping(payload)
    peer.flush()
    answers = lambda: [e.ping_data for e in peer.events if isinstance(e, h2.events.PingAckReceived)]
    peer.until(lambda _: len(answers()) == len(sent))
    assert answers() == sent


def reset(address):
    """A stream is reset while it sends; the others and the connection continue, with their whole windows."""
    peer = Peer(address)
    peer.settled()
    for _ in range(20):
        stream = peer.h2.get_next_available_stream_id()
        peer.h2.send_headers(stream, request("/bytes/1000000000"), end_stream=True)
        peer.flush()
        peer.until(lambda event: isinstance(event, h2.events.DataReceived), peer.credit)
        peer.h2.reset_stream(stream, ErrorCodes.CANCEL)
        # Late DATA counts against the connection's window, and h2 credits it.
        peer.fetch()


def request_trailers(address):
    """Trailers end an upload."""
    peer = Peer(address)
    peer.h2.send_headers(1, request("/echo", "POST"))
    peer.h2.send_data(1, b"abc")
    peer.h2.send_headers(1, [("x-checksum", "1")], end_stream=True)
    peer.flush()
    assert peer.response(1) == (b"200", b"abc")


def graceful_close(address):
    """GOAWAY of the client: the server responds to its requests, then sends GOAWAY and closes."""
    peer = Peer(address)
    peer.settled()
    peer.h2.send_headers(1, request("/bytes/50000?seed=3"), end_stream=True)
    # By hand: h2 sends nothing after its own GOAWAY.
    peer.write(frame.GoAwayFrame(0, last_stream_id=0))
    assert peer.response(1) == (b"200", pattern(50_000, 3))
    end_of(peer, ErrorCodes.NO_ERROR, 1)


def end_of(peer, code, last_stream):
    """The connection ends with this GOAWAY, and is closed."""
    goaways = lambda: [event for event in peer.events if isinstance(event, h2.events.ConnectionTerminated)]
    while not goaways():
        assert peer.receive() is not None, "the connection ended without a GOAWAY"
    assert goaways()[-1].error_code == code, goaways()
    assert goaways()[-1].last_stream_id == last_stream, goaways()
    while peer.socket.recv(65_536):
        pass


def violation(address, code, *frames):
    """After a completed request: frames that break a rule, and the expected GOAWAY."""
    peer = Peer(address)
    peer.settled()
    peer.fetch()
    peer.write(*frames)
    end_of(peer, code, 1)


def headers(stream, block):
    return frame.HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"])


def data_on_idle_stream(address):
    violation(address, ErrorCodes.PROTOCOL_ERROR, frame.DataFrame(5, b"abc"))


def window_overflow(address):
    violation(address, ErrorCodes.FLOW_CONTROL_ERROR, *[frame.WindowUpdateFrame(0, 2**31 - 1)] * 2)


def bad_header_block(address):
    violation(address, ErrorCodes.COMPRESSION_ERROR, headers(3, b"\xff" * 7))


def interrupted_header_block(address):
    violation(address, ErrorCodes.PROTOCOL_ERROR, frame.HeadersFrame(3, b"\x82"), frame.PingFrame(0, b"anything"))


def even_stream(address):
    violation(address, ErrorCodes.PROTOCOL_ERROR, headers(2, Encoder().encode(REQUEST)))


globals()[sys.argv[1]](sys.argv[2])
