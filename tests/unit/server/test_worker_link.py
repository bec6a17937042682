"""A worker tells its supervisor why it cannot serve."""

import os
import socket

from inventory_grpc.server.worker_link import Link


def test_a_reason_with_a_path_that_is_not_utf_8_arrives() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Link(1, theirs).report_failure(os.fsdecode(b"/data/\xff.db is damaged"))
        assert ours.recv(100) == b"/data/\\udcff.db is damaged"
