# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The other end of a vhost-user socket, which agrees to everything."""

import socket
import struct
import threading

HEADER = struct.Struct('<III')
GET_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 1, 15, 17
VERSION_1, PROTOCOL_FEATURES = 1 << 32, 1 << 30
PROTOCOL_MQ = 1 << 0
IS_REPLY, NEED_REPLY = 0x5, 0x8


class Peer(threading.Thread):
    """Answers one connection after the other until it is closed."""

    def __init__(self, path, queues=1):
        super().__init__(daemon=True)
        self.answers = {GET_FEATURES: VERSION_1 | PROTOCOL_FEATURES,
                        GET_PROTOCOL_FEATURES: PROTOCOL_MQ,
                        GET_QUEUE_NUM: queues}
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection):
        while True:
            data, fds, _, _ = socket.recv_fds(connection, HEADER.size, 16)
            for fd in fds:
                socket.close(fd)
            if len(data) < HEADER.size:
                return
            request, flags, size = HEADER.unpack(data)
            if size:
                connection.recv(size, socket.MSG_WAITALL)
            self.requests.append(request)
            if request in self.answers or flags & NEED_REPLY:
                connection.sendall(HEADER.pack(request, IS_REPLY, 8) +
                                   struct.pack('<Q',
                                               self.answers.get(request, 0)))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
