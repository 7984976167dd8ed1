"""A TCP proxy that hurts what it passes on: it delays, slices and resets connections, as bad networks do."""

import random
import select
import socket
import struct
import threading
import time
from contextlib import suppress

CHUNK_BYTES = 65_536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ToxicProxy:
    """Listens on a loopback port (one of its choice where 0) and hands on to another; unhurtful until told."""

    def __init__(self, port, *, to, seed=0):
        self._to = to
        self._chance = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.delay_s = 0.0
        self.slice_bytes = CHUNK_BYTES
        self._open = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def reset(self):
        """Breaks every connection off, without a farewell."""
        open_now, self._open = self._open, []
        for one in open_now:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                one.shutdown(socket.SHUT_RDWR)
        return len(open_now)

    def close(self):
        self._is_closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.reset()

    def _accept(self):
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), timeout=5)
            except OSError:
                near.close()
                continue
            self._open += [near, far]
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        other = {near: far, far: near}
        with near, far, suppress(OSError, ValueError):
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.settimeout(10)
            while True:
                for one in select.select([near, far], [], [], 10)[0]:
                    received = one.recv(CHUNK_BYTES)
                    if not received:
                        return
                    self._hand_on(received, other[one])

    def _hand_on(self, received, receiver):
        if self.delay_s:
            time.sleep(self._chance.random() * 2 * self.delay_s)
        size = self.slice_bytes
        for start in range(0, len(received), size):
            receiver.sendall(received[start : start + size])
