"""A TCP proxy in front of a broker that cuts connections, holds bytes back, or loses what comes after so many bytes."""
import select
import socket
import struct
import threading


class Proxy(threading.Thread):
    def __init__(self, endpoint):
        super().__init__(daemon=True)
        host, port = endpoint[len("tcp://"):].rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.peers = {}        # socket -> the one on the other side
        self.from_broker = set()
        self.dumb = set()      # of these what comes is lost
        self.hold = False      # nothing passes, nothing is lost
        self.limits = {}       # "broker" or "clients" -> so many of its bytes pass yet, what comes then is lost
        self.lost = {"broker": 0, "clients": 0}
        self.stopped = False
        self.flip = 0          # so many of the next long pieces get one bit turned
        self.recorded = None   # a bytearray: what passes is added to it
        self.cuts = 0
        self.start()

    def run(self):
        while not self.stopped:
            with self.lock:
                watched = [self.listener] + ([] if self.hold else list(self.peers))
            try:
                ready, _, _ = select.select(watched, [], [], 0.02)
            except (OSError, ValueError):
                continue  # one of them was cut meanwhile
            for one in ready:
                if one is self.listener:
                    self._accept()
                else:
                    self._pass_on(one)

    def _accept(self):
        inner, _ = self.listener.accept()
        try:
            outer = socket.create_connection(self.target, 2)
        except OSError:
            inner.close()
            return
        for one in (inner, outer):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.peers[inner], self.peers[outer] = outer, inner
            self.from_broker.add(outer)

    def _pass_on(self, one):
        with self.lock:
            other, sender = self.peers.get(one), "broker" if one in self.from_broker else "clients"
            dumb = one in self.dumb
        if other is None:
            return
        try:
            data = one.recv(65536)
            if self.flip and len(data) > 500:
                self.flip -= 1
                data = data[:400] + bytes([data[400] ^ 1]) + data[401:]
            if self.recorded is not None:
                self.recorded += data
            passes = b"" if dumb else self._within_limit(sender, data)
            if passes:
                other.sendall(passes)
        except OSError:
            data = b""
        if not data:
            self._close(one, other)

    def _within_limit(self, sender, data):
        with self.lock:
            limit = self.limits.get(sender)
            if limit is None:
                return data
            passes = data[:limit]
            self.limits[sender] -= len(passes)
            self.lost[sender] += len(data) - len(passes)
            return passes

    def limit(self, sender, count):
        """Only so many bytes more pass that `sender` sends, the "broker" or the "clients"; None: all do."""
        with self.lock:
            self.limits[sender], self.lost[sender] = count, 0

    def _close(self, *pair):
        with self.lock:
            for one in pair:
                self.peers.pop(one, None)
                self.from_broker.discard(one)
                self.dumb.discard(one)
                one.close()

    def strike_dumb(self):
        """The connections there are stay, and pass nothing any more; new ones do."""
        with self.lock:
            self.dumb.update(self.peers)

    def cut(self, reset=False):
        """End every connection, now; bytes under way are lost."""
        with self.lock:
            all_of_them = list(self.peers)
            for one in all_of_them:
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cuts += 1
        self._close(*all_of_them)

    def stop(self):
        self.stopped = True
        self.join()
        self.cut()
        self.listener.close()
