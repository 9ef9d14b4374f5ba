"""A server with rare behaviour, to one connection: h2_server.py BEHAVIOUR [CERT KEY]

Answers one request with 100,000 bytes (byte i is i * 7 mod 256) or ends it, or several, in a way of its own. h2 watches every frame of the client
and raises where one breaks a rule. With the files of a certificate and its key it uses TLS. Prints `well` if the client behaved as expected and sent GOAWAY before it closed.
"""

import socket
import ssl
import struct
import sys

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe import frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CONTENT = bytes(i * 7 & 0xFF for i in range(100_000))
OK = [(":status", "200"), ("content-length", str(len(CONTENT)))]


class Peer:
    def __init__(self, connection):
        connection.settimeout(20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.piece_bytes = 1 << 20
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.initiate_connection()
        self.events = []
        self.unread = b""
        self.is_open = False

    def flush(self):
        data = self.h2.data_to_send()
        for start in range(0, len(data), self.piece_bytes):
            self.socket.sendall(data[start : start + self.piece_bytes])

    def write(self, *frames):
        """Sends frames of its own after the output of h2."""
        self.flush()
        self.socket.sendall(b"".join(one.serialize() for one in frames))

    def seen(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def receive(self):
        self.flush()
        data = self.socket.recv(65_536)
        self.read(data)
        self.flush()
        return bool(data)

    def read(self, data):
        """Reads frame by frame: h2 handles no frame after a GOAWAY, but others may follow."""
        self.unread += data
        while (end := self.unit()) <= len(self.unread) and not self.seen(h2.events.ConnectionTerminated):
            self.events += self.h2.receive_data(self.unread[:end])
            self.unread = self.unread[end:]
            self.is_open = True

    def unit(self):
        """The length of the next item: the preface, then frames."""
        if not self.is_open:
            return len(PREFACE)
        return 9 + int.from_bytes(self.unread[:3], "big") if len(self.unread) >= 3 else 9

    def until(self, is_done):
        while not is_done():
            assert self.receive(), f"the client has gone; it did {self.events}"

    def request(self):
        self.until(lambda: self.seen(h2.events.RequestReceived))
        event = self.seen(h2.events.RequestReceived)[0]
        assert event.stream_id == 1, event
        assert dict(event.headers)[b":method"] == b"GET", event

    def send(self, content, **options):
        """Content, as the windows allow."""
        while content:
            room = min(self.h2.local_flow_control_window(1), self.h2.max_outbound_frame_size)
            room -= options.get("pad_length", -1) + 1
            if room <= 0:
                assert self.receive(), "the client has gone"
                continue
            self.h2.send_data(1, content[:room], **options)
            content = content[room:]
            self.flush()

    def end(self):
        self.h2.end_stream(1)
        self.flush()

    def expect_goaway(self, code=ErrorCodes.NO_ERROR):
        """Expects that the client sends GOAWAY before it closes."""
        while self.receive():
            pass
        ends = [event.error_code for event in self.seen(h2.events.ConnectionTerminated)]
        assert ends == [code], f"GOAWAYs of the client: {ends}"


def informational(peer):
    peer.request()
    peer.h2.send_headers(1, [(":status", "103"), ("link", "</style.css>; rel=preload")])
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT)
    peer.h2.send_headers(1, [("x-checksum", "1")], end_stream=True)
    peer.expect_goaway()


def bytes_one_by_one(peer):
    peer.piece_bytes = 1
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT)
    peer.end()
    peer.expect_goaway()


def padding(peer):
    peer.request()
    peer.h2.send_headers(1, OK)
    for start in range(0, len(CONTENT), 500):
        peer.send(CONTENT[start : start + 500], pad_length=255)
    peer.end()
    peer.expect_goaway()


def pings(peer):
    peer.request()
    peer.h2.send_headers(1, OK)
    for number in range(10):
        peer.h2.ping(bytes([number]) * 8)
        peer.send(CONTENT[number * 10_000 : (number + 1) * 10_000])
        peer.until(lambda: len(peer.seen(h2.events.PingAckReceived)) == number + 1)
    peer.end()
    assert [e.ping_data for e in peer.seen(h2.events.PingAckReceived)] == [bytes([n]) * 8 for n in range(10)]
    peer.expect_goaway()


def settings_change(peer):
    peer.request()
    acknowledged = lambda: len(peer.seen(h2.events.SettingsAcknowledged))
    peer.until(acknowledged)
    for size in (0, 100, 65_536):
        before = acknowledged()
        peer.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: size, SettingCodes.MAX_CONCURRENT_STREAMS: size})
        peer.until(lambda: acknowledged() > before)
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT)
    peer.end()
    peer.expect_goaway()


def goaway_midway(peer):
    """GOAWAY does not end the streams that it includes."""
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    # By hand: h2 sends nothing after its own GOAWAY.
    peer.write(frame.GoAwayFrame(0, last_stream_id=1))
    peer.send(CONTENT[50_000:])
    peer.end()
    peer.expect_goaway()


def reset_midway(peer):
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    peer.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    peer.expect_goaway()


def refused(peer):
    peer.request()
    peer.h2.reset_stream(1, ErrorCodes.REFUSED_STREAM)
    peer.expect_goaway()


def goaway_at_once(peer):
    peer.request()
    peer.write(frame.GoAwayFrame(0, last_stream_id=0))
    peer.expect_goaway()


def closed_midway(peer):
    """The server closes TCP without GOAWAY."""
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    peer.socket.shutdown(socket.SHUT_WR)
    peer.expect_goaway()


def dies_midway(peer):
    """TCP resets the connection, as if the process had died."""
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()


def too_short(peer):
    """Less content than announced: the client names the rule."""
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    peer.end()
    peer.expect_goaway()


def window_overflow(peer):
    """A window above the maximum."""
    peer.request()
    peer.h2.send_headers(1, OK)
    peer.send(CONTENT[:50_000])
    peer.write(*[frame.WindowUpdateFrame(0, 2**31 - 1)] * 2)
    peer.expect_goaway(ErrorCodes.FLOW_CONTROL_ERROR)


def resets(peer):
    """Each call is reset with the code at the end of its path."""
    answered = 0
    while peer.receive():
        for event in peer.seen(h2.events.RequestReceived)[answered:]:
            path = dict(event.headers)[b":path"]
            peer.h2.reset_stream(event.stream_id, int(path.removeprefix(b"/echo.Echo/Reset")))
            answered += 1
    peer.expect_goaway()


listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
connection = listener.accept()[0]
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    context.set_alpn_protocols(["h2"])
    connection = context.wrap_socket(connection, server_side=True)
    assert connection.selected_alpn_protocol() == "h2", connection.selected_alpn_protocol()
globals()[sys.argv[1]](Peer(connection))
print("well", flush=True)
