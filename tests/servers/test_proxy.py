"""The proxy relays what it is given, counts it, and injects what it is told to."""

from __future__ import annotations

import http.client
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from servers import asking
from servers import proxy as proxies
from servers.asking import connect
from servers.process import HOST, free_ports

BODY = bytes(range(256)) * 400


def ask(connection, method, path, body=None, **headers):
    answer = asking.ask(connection, method, path, body, **headers)
    return answer.status, answer.body


def once(url, method, path, body=None):
    with closing(connect(url)) as connection:
        return ask(connection, method, path, body)


@pytest.fixture
def key(s3):
    """Return the path of an object, which contains ``BODY``."""
    path = f"{s3.path}/object"
    assert once(s3.endpoint, "PUT", path, BODY)[0] == 200
    return path


@pytest.fixture
def client(proxy):
    connection = connect(proxy.url)
    yield connection
    connection.close()


def test_requests_are_relayed_and_counted(proxy, client, key):
    assert ask(client, "GET", key) == (200, BODY)
    assert ask(client, "GET", key, Range="bytes=-10") == (206, BODY[-10:])
    assert ask(client, "HEAD", key) == (200, b"")
    assert ask(client, "PUT", f"{key}%20two", b"new")[0] == 200
    assert ask(client, "GET", f"{key}%20two") == (200, b"new")
    assert ask(client, "DELETE", f"{key}%20two") == (204, b"")
    assert ask(client, "GET", f"{key}%20two")[0] == 404
    found = [(o.method, o.target, o.range, o.status, o.received) for o in proxy.log()]
    two = f"{key} two"
    assert found == [
        ("GET", key, None, 200, 0),
        ("GET", key, "bytes=-10", 206, 0),
        ("HEAD", key, None, 200, 0),
        ("PUT", two, None, 200, 3),
        ("GET", two, None, 200, 0),
        ("DELETE", two, None, 204, 0),
        ("GET", two, None, 404, 0),
    ]
    assert [one.sent for one in proxy.log()][:5] == [len(BODY), 10, 0, 0, 3]
    assert (proxy.count(), proxy.count("GET"), proxy.under_way, proxy.peak) == (7, 4, 0, 1)
    assert proxy.methods() == {"GET": 4, "HEAD": 1, "PUT": 1, "DELETE": 1}
    proxy.forget()
    assert (proxy.log(), proxy.peak) == ([], 0)


def test_large_bodies_pass_in_both_directions(proxy, client, key):
    large = os.urandom(9_000_001)
    assert ask(client, "PUT", key, large)[0] == 200
    assert ask(client, "GET", key) == (200, large)
    assert [(one.received, one.sent) for one in proxy.log()] == [(9_000_001, 0), (0, 9_000_001)]


def test_bodies_of_chunks_pass(proxy, client, key):
    parts = [b"hello ", b"x" * 100_000, b"", b"!"]
    client.request("PUT", key, body=iter(parts), encode_chunked=True)
    answer = client.getresponse()
    answer.read()
    assert answer.status == 200
    whole = b"".join(parts)
    assert ask(client, "GET", key) == (200, whole)
    assert proxy.log()[0].received > len(whole)


def test_a_client_that_waits_for_leave_is_told_to_go_on(proxy, client, key):
    with socket.create_connection(urlsplit(proxy.url).netloc.split(":"), timeout=30) as one:
        head = f"PUT {key} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        one.sendall(head.encode())
        assert one.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b"done")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
    assert ask(client, "GET", key) == (200, b"done")


def test_several_requests_in_one_packet_are_answered_in_turn(proxy, key):
    with socket.create_connection(urlsplit(proxy.url).netloc.split(":"), timeout=30) as one:
        head = f"GET {key} HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n"
        last = head % (7, 7) + "Connection: close\r\n\r\n"
        one.sendall((head % (5, 5) + "\r\n" + head % (6, 6) + "\r\n" + last).encode())
        answers = b"".join(iter(lambda: one.recv(100_000), b""))
    assert answers.count(b"HTTP/1.1 206") == 3
    assert [one.range for one in proxy.log()] == ["bytes=5-5", "bytes=6-6", "bytes=7-7"]


def test_requests_are_under_way_together(proxy, key):
    proxy.fault("stall", times=None)
    with ThreadPoolExecutor(64) as pool:
        found = [pool.submit(once, proxy.url, "GET", key) for _ in range(64)]
        proxy.wait_for_stalled(64)
        assert (proxy.under_way, proxy.peak) == (64, 64)
        assert not any(one.done() for one in found)
        proxy.clear()
        assert [one.result() for one in found] == [(200, BODY)] * 64
    assert (proxy.under_way, proxy.peak, proxy.count()) == (0, 64, 64)


def test_latency_is_added_to_every_request_of_a_connection(proxy, client, key):
    proxy.latency(0.05)
    assert [ask(client, "GET", key)[0] for _ in range(3)] == [200] * 3
    assert all(one.ended - one.began >= 0.049 for one in proxy.log())


def test_latency_does_not_make_requests_wait_for_each_other(proxy, key):
    proxy.latency(0.5)
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: once(proxy.url, "GET", key), range(32)))
    assert found == [(200, BODY)] * 32
    log = proxy.log()
    # One after the other, they would take 32 times the latency.
    assert max(one.ended for one in log) - min(one.began for one in log) < 32 * 0.5


@pytest.mark.parametrize("status", [500, 503, 429, 403, 404])
def test_a_status_is_answered_in_place_of_the_server(proxy, client, key, status):
    proxy.fault("status", status=status, times=1)
    found, body = ask(client, "PUT", key, b"changed")
    assert found == status
    assert b"<Error><Code>" in body
    assert ask(client, "GET", key) == (200, BODY)
    assert [(o.status, o.fault) for o in proxy.log()] == [(status, "status"), (200, None)]


def test_a_status_may_tell_when_to_try_again(proxy, client, key):
    proxy.fault("status", status=429, retry_after=7)
    client.request("HEAD", key)
    answer = client.getresponse()
    assert (answer.status, answer.getheader("Retry-After"), answer.read()) == (429, "7", b"")


def test_a_status_may_follow_a_request_that_was_processed(proxy, client, key):
    proxy.fault("status", status=500, method="PUT", forward=True)
    assert ask(client, "PUT", key, b"changed")[0] == 500
    assert ask(client, "GET", key) == (200, b"changed")


@pytest.mark.parametrize("forward", [False, True])
def test_a_reset_comes_before_or_after_the_request_is_processed(proxy, client, key, forward):
    proxy.fault("lost" if forward else "reset", method="PUT")
    with pytest.raises(ConnectionResetError):
        ask(client, "PUT", key, b"changed")
    client.close()
    assert ask(client, "GET", key) == (200, b"changed" if forward else BODY)


@pytest.mark.parametrize(("after", "kept"), [(None, len(BODY) // 2), (0, 0), (5, 5)])
def test_a_body_is_cut(proxy, client, key, after, kept):
    proxy.fault("cut", after=after)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(client, "GET", key)
    assert (caught.value.partial, caught.value.expected) == (BODY[:kept], len(BODY) - kept)
    client.close()
    assert ask(client, "GET", key) == (200, BODY)


def test_an_answer_without_a_body_is_cut_in_its_head(proxy, client, key):
    proxy.fault("cut")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(client, "PUT", key, b"changed")
    client.close()
    assert ask(client, "GET", key) == (200, b"changed")


@pytest.mark.parametrize(("after", "place"), [(None, len(BODY) // 2), (0, 0), (70_000, 70_000)])
def test_one_bit_is_flipped(proxy, client, key, after, place):
    proxy.fault("flip", after=after)
    status, body = ask(client, "GET", key)
    assert (status, len(body)) == (200, len(BODY))
    assert [at for at in range(len(BODY)) if body[at] != BODY[at]] == [place]
    assert (body[place] ^ BODY[place]).bit_count() == 1
    assert ask(client, "GET", key) == (200, BODY)


def test_a_stalled_request_reaches_the_server_after_its_release(proxy, client, key):
    proxy.fault("stall", method="PUT")
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(once, proxy.url, "PUT", key, b"changed")
        proxy.wait_for_stalled()
        assert ask(client, "GET", key) == (200, BODY)
        proxy.release()
        assert found.result()[0] == 200
    assert ask(client, "GET", key) == (200, b"changed")


def test_requests_that_do_not_stall_are_not_waited_for_without_end(proxy, client, key):
    proxy.fault("stall", method="PUT")
    ask(client, "GET", key)
    with pytest.raises(TimeoutError, match=r"(?s)0 of 1 requests .* 0\.05 s.*method='GET'"):
        proxy.wait_for_stalled(seconds=0.05)
    assert proxy.methods() == {"GET": 1}


def test_an_answer_stalls_in_its_body(proxy, client, key):
    proxy.fault("stall", after=1000)
    client.request("GET", key)
    proxy.wait_for_stalled()
    answer = client.getresponse()
    assert answer.read(1000) == BODY[:1000]
    assert proxy.under_way == 1
    proxy.release()
    assert answer.read() == BODY[1000:]


def test_a_client_that_gives_up_ends_its_stalled_request(proxy, client, key):
    proxy.fault("stall")
    impatient = connect(proxy.url, timeout=0.1)
    with pytest.raises(TimeoutError):
        ask(impatient, "GET", key)
    impatient.close()
    # The relay sees that the connection has ended before it accepts another.
    assert ask(client, "GET", key) == (200, BODY)
    assert proxy.under_way == 0
    proxy.release()
    assert ask(client, "GET", key) == (200, BODY)


def test_a_fault_applies_to_the_requests_of_its_rule(proxy, client, key):
    proxy.fault("status", status=503, method="GET", target=r"object$", first=2, times=2)
    proxy.fault("status", status=403, method="GET", target="other", times=None)
    assert [ask(client, "GET", key)[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert ask(client, "HEAD", key)[0] == 200
    assert [ask(client, "GET", f"{key}-other")[0] for _ in range(5)] == [403] * 5
    proxy.clear()
    assert ask(client, "GET", f"{key}-other")[0] == 404


def test_there_is_no_other_kind_of_fault(proxy):
    with pytest.raises(ValueError, match="no fault 'boom'; there are status, reset"):
        proxy.fault("boom")


def test_kept_answers_are_given_again_until_something_changes(proxy, client, key, s3):
    proxy.keep()
    assert ask(client, "GET", key) == (200, BODY)
    # This change is not seen by the proxy.
    assert once(s3.endpoint, "PUT", key, b"hidden")[0] == 200
    assert ask(client, "GET", key) == (200, BODY)
    assert once(proxy.url, "GET", key) == (200, BODY)
    assert ask(client, "GET", key, Range="bytes=0-1") == (206, b"hi")
    assert ask(client, "GET", key, If_Match='"other"')[0] == 412
    assert ask(client, "PUT", f"{key}-other", b"seen")[0] == 200
    assert ask(client, "GET", key) == (200, b"hidden")
    assert [one.sent for one in proxy.log() if one.status == 200][:3] == [len(BODY)] * 3
    proxy.keep(on=False)
    assert once(s3.endpoint, "PUT", key, b"again")[0] == 200
    assert ask(client, "GET", key) == (200, b"again")


def test_kept_answers_have_latency_and_faults(proxy, client, key):
    proxy.keep()
    assert ask(client, "GET", key) == (200, BODY)
    proxy.latency(0.05)
    proxy.fault("status", status=500, first=2)
    assert [ask(client, "GET", key)[0] for _ in range(3)] == [200, 500, 200]
    assert all(one.ended - one.began >= 0.049 for one in proxy.log()[1::2])


def test_missing_objects_and_answers_from_before_a_change_are_not_kept(proxy, client, key, s3):
    proxy.keep()
    assert ask(client, "GET", f"{key}-other")[0] == 404
    assert once(s3.endpoint, "PUT", f"{key}-other", b"new")[0] == 200
    assert ask(client, "GET", f"{key}-other") == (200, b"new")
    proxy.fault("stall", method="PUT")
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(once, proxy.url, "PUT", key, b"changed")
        proxy.wait_for_stalled()
        assert ask(client, "GET", key) == (200, BODY)
        proxy.release()
        assert written.result()[0] == 200
    assert ask(client, "GET", key) == (200, b"changed")


def test_a_server_that_does_not_listen_is_a_reset_connection():
    with proxies.running(f"{HOST}:{free_ports(1)[0]}") as alone:
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                once(alone.url, "GET", "/a")
        assert [(one.status, one.ended is None) for one in alone.log()] == [(None, False)] * 2
