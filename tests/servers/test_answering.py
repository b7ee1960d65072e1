"""The server of answers is there for all clients, whatever some of them do."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing

import pytest

from servers.answering import Reply, answering
from servers.process import HOST, UnavailableError


def test_a_client_that_does_not_shake_hands_keeps_nobody_waiting() -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with closing(socket.socket()) as silent:
            # It is connected when the server ends, too.
            with answering(lambda _: Reply(200, b"value"), tls=True) as server:
                port = int(server.host.rpartition(":")[2])
                silent.connect((HOST, port))
                with closing(
                    http.client.HTTPSConnection(HOST, port, timeout=60, context=context)
                ) as client:
                    client.request("GET", "/a")
                    assert client.getresponse().read() == b"value"
            assert [one.target for one in server.asked] == ["/a"]
    except UnavailableError as error:
        pytest.skip(str(error))
