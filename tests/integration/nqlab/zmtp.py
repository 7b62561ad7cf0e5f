"""A peer that speaks ZMTP by hand, rightly or wrongly: greeting, handshake and frames are bytes that the test chooses."""
import socket
import struct

SIGNATURE = b"\xff" + b"\0" * 7 + b"\x01\x7f"
MORE, LONG, COMMAND = 1, 2, 4


def greeting(major=3, minor=0, mechanism=b"NULL", as_server=0, signature=SIGNATURE):
    return signature + bytes([major, minor]) + mechanism.ljust(20, b"\0") + bytes([as_server]) + b"\0" * 31


def frame(body, flags=0, length=None):
    """`length`: what the frame says of itself, if that is not true."""
    length = len(body) if length is None else length
    if length > 255 or flags & LONG:
        return bytes([flags | LONG]) + struct.pack(">Q", length) + body
    return bytes([flags, length]) + body


def command(name, body=b""):
    return frame(bytes([len(name)]) + name + body, COMMAND)


def ready(socket_type=b"DEALER", identity=b""):
    properties = ((b"Socket-Type", socket_type), (b"Identity", identity))
    return command(b"READY", b"".join(bytes([len(k)]) + k + struct.pack(">I", len(v)) + v for k, v in properties))


class Peer:
    """One TCP connection. Nothing it does raises when the other side has closed: that is what the tests are about."""

    def __init__(self, endpoint, timeout=10):
        host, port = endpoint[len("tcp://"):].rsplit(":", 1)
        self.line = socket.create_connection((host, int(port)), timeout)

    def send(self, data):
        """False: the other side has closed, or takes nothing."""
        try:
            self.line.sendall(data)
            return True
        except OSError:
            return False

    def handshake(self, socket_type=b"DEALER", identity=b""):
        self.send(greeting())
        self.receive(64)
        return self.send(ready(socket_type, identity))

    def receive(self, count):
        """Up to `count` bytes, fewer when the other side closed."""
        data = b""
        try:
            while len(data) < count:
                part = self.line.recv(count - len(data))
                if not part:
                    break
                data += part
        except OSError:
            pass
        return data

    def was_closed(self, timeout=60):
        """Waits until the other side has closed, so long at most."""
        self.line.settimeout(timeout)
        try:
            while self.line.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except OSError:
            return False

    def finish(self):
        """Nothing more comes, and the other side closes in answer: by then it has read all that was sent."""
        try:
            self.line.shutdown(socket.SHUT_WR)
        except OSError:  # it has closed already
            pass
        self.was_closed(10)
        self.close()

    def close(self):
        self.line.close()
