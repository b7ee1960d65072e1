"""Credentials: they are renewed when they expire, and are in no text and no pickle.

The server keeps objects, and accepts the credentials that it has issued until it revokes them.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from servers.answering import Reply, answering

from fastzarr import create_array, open_array
from fastzarr.config import config
from fastzarr.errors import RequestError
from fastzarr.stores import FsspecStore, ObjectStore
from fastzarr.stores.systems import pickled

KEY, SECRET, TOKEN = "AKIAVISIBLE", "wJalrXUtnFEMI", "FwoGZXIvYXdz"
VALUES = np.arange(80)
REGION = "us-east-1"


def xml(code, message, more=""):
    return (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    )


def listing(objects, target):
    """Return the answer to a request of the keys below a prefix."""
    prefix = parse_qs(urlsplit(target).query).get("prefix", [""])[0]
    keys = [path.removeprefix("/bucket/") for path in sorted(objects)]
    entry = "<Contents><Key>{}</Key><Size>1</Size><ETag>1</ETag>"
    entry += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
    found = "".join(entry.format(key) for key in keys if key.startswith(prefix))
    text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
    return Reply(200, text.encode(), {"Content-Type": "application/xml"})


def stored(objects, asked):
    """Return the answer of a server that accepts the credentials."""
    path = asked.target.partition("?")[0]
    stated = {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    if asked.method == "PUT":
        objects[path] = asked.body
        return Reply(200, b"", stated)
    if "list-type" in asked.target:
        return listing(objects, asked.target)
    missing = Reply(404, xml("NoSuchKey", "no such key").encode())
    return Reply(200, objects[path], stated) if path in objects else missing


class Issuer:
    """A server of objects that accepts the credentials that it has issued."""

    def __init__(self):
        self.objects, self.issued, self.lasting = {}, 0, timedelta(hours=1)
        self.valid = set()

    def issue(self):
        """Return new credentials, as a provider of obstore does."""
        self.issued += 1
        self.valid.add(f"{TOKEN}-{self.issued}")
        ends = None if self.lasting is None else datetime.now(UTC) + self.lasting
        return {
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "token": f"{TOKEN}-{self.issued}",
            "expires_at": ends,
        }

    def revoke(self):
        """Accept no credentials that were issued before."""
        self.valid.clear()

    def answer(self, asked):
        token = asked.headers.get("x-amz-security-token")
        if token not in self.valid:
            echo = f"<Token-0>{token}</Token-0><AWSAccessKeyId>{KEY}</AWSAccessKeyId>"
            text = xml("ExpiredToken", "The provided token has expired.", echo)
            return Reply(400, text.encode(), {"Content-Type": "application/xml"})
        return stored(self.objects, asked)


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def server(issuer):
    with answering(issuer.answer) as running:
        yield running


def by_obstore(server, **options):
    words = {"endpoint": server.url, "region": REGION}
    return ObjectStore("s3://bucket/x", storage_options=words | options)


def by_s3fs(server, issuer):
    """Return a store whose session asks the issuer when its credentials are about to expire."""
    from aiobotocore.credentials import AioRefreshableCredentials
    from aiobotocore.session import AioSession
    from s3fs import S3FileSystem

    def issue():
        issued = issuer.issue()
        return {
            "access_key": issued["access_key_id"],
            "secret_key": issued["secret_access_key"],
            "token": issued["token"],
            "expiry_time": issued["expires_at"].isoformat(),
        }

    async def refresh():
        return issue()

    session = AioSession()
    vars(session)["_credentials"] = AioRefreshableCredentials.create_from_metadata(
        issue(), refresh_using=refresh, method="test"
    )
    client = {"endpoint_url": server.url, "region_name": REGION}
    return FsspecStore(S3FileSystem(session=session, client_kwargs=client), path="bucket/x")


# Renewal


def job(store):
    """Create an array, write it and parts of it, and read it."""
    create_array(store, name="a", data=VALUES, chunks=10)
    array = open_array(store, path="a")
    array[5:15] = -1
    array.attrs["x"] = 1
    assert array[5:15].tolist() == [-1] * 10
    return array


def test_credentials_are_renewed_before_they_expire(server, issuer):
    issuer.lasting = timedelta(seconds=-1)
    array = job(by_obstore(server, credential_provider=issuer.issue))
    assert issuer.issued > 5
    before, issuer.lasting = issuer.issued, timedelta(hours=1)
    for start in range(0, 80, 10):
        array[start : start + 5] = 0
    assert issuer.issued == before + 1


@pytest.mark.parametrize("lasting", [None, timedelta(hours=1)])
def test_credentials_that_the_server_calls_expired_are_renewed(server, issuer, lasting):
    """Those of a provider that promises too much, or nothing."""
    issuer.lasting = lasting
    array = job(by_obstore(server, credential_provider=issuer.issue))
    before = issuer.issued
    for work in (
        lambda: array[:],
        lambda: array.__setitem__(3, 7),
        lambda: array.__setitem__(..., VALUES),
        lambda: array.attrs.__setitem__("y", 2),
        lambda: array.store.exists("a/zarr.json"),
        lambda: open_array(array.store, path="a", mode="r"),
    ):
        issuer.revoke()
        work()
    assert issuer.issued >= before + 6
    np.testing.assert_array_equal(array[:], VALUES)
    assert dict(array.attrs) == {"x": 1, "y": 2}


def test_credentials_that_stay_expired_are_an_error(server, issuer):
    def stale():
        return issuer.issue() | {"token": "old"}

    with config.set({"fetch.deadline": 0.3}), pytest.raises(RequestError) as caught:
        by_obstore(server, credential_provider=stale).get("a")
    assert "ExpiredToken" in str(caught.value)
    # Nobody can be asked for others.
    server.asked.clear()
    store = static("obstore", server)
    with pytest.raises(RequestError, match="ExpiredToken"):
        store.get("a")
    assert len(server.asked) == 1


def test_s3fs_renews_credentials_before_they_expire(server, issuer):
    # botocore asks for others in the last quarter of an hour.
    issuer.lasting = timedelta(minutes=14)
    array = job(by_s3fs(server, issuer))
    before = issuer.issued
    assert before > 5
    issuer.lasting = timedelta(hours=1)
    for number in range(80):
        assert array[number] == (-1 if 5 <= number < 15 else number)
    assert issuer.issued == before + 1


# Texts and pickles


def static(kind, server):
    if kind == "obstore":
        return by_obstore(server, access_key_id=KEY, secret_access_key=SECRET, session_token=TOKEN)
    client = {"endpoint_url": server.url, "region_name": REGION}
    options = {"key": KEY, "secret": SECRET, "token": TOKEN, "client_kwargs": client}
    return FsspecStore.from_url("s3://bucket/x", options)


REFUSALS = {
    "expired": (400, "ExpiredToken"),
    "denied": (403, "SignatureDoesNotMatch"),
    "broken": (500, "InternalError"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("kind", ["obstore", "s3fs"])
def test_no_text_has_credentials(kind, refusal):
    """Neither a name, an error and its traceback, nor a log of any package at DEBUG."""
    status, code = REFUSALS[refusal]
    objects = {}

    def answer(asked):
        if not refused:
            return stored(objects, asked)
        echo = f"<AWSAccessKeyId>{KEY}</AWSAccessKeyId><Token-0>{TOKEN}</Token-0>"
        echo += f"<StringToSign>{asked.headers.get('authorization', '')}</StringToSign>"
        return Reply(status, xml(code, "refused", echo).encode())

    log = io.StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with answering(answer) as server:
            refused = False
            store = static(kind, server)
            create_array(store, name="a", data=VALUES, chunks=10)
            array = open_array(store, path="a")
            seen = [repr(store), str(store), store.place.token, repr(array), str(array.info)]
            refused = True
            for work in (
                lambda: store.get("a"),
                lambda: store.set("a", b""),
                lambda: array[:],
                lambda: array.__setitem__(..., 1),
                lambda: open_array(store, path="a", mode="r"),
                lambda: list(store.list()),
            ):
                with config.set({"fetch.deadline": 0.3}), pytest.raises(OSError) as caught:  # noqa: PT011  (any failed request)
                    work()
                seen += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
                seen.append(repr(pickle.dumps(caught.value)))
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    signatures = [
        one.headers["authorization"].rpartition("=")[2]
        for one in server.asked
        if "authorization" in one.headers
    ]
    assert signatures
    hidden = {KEY, SECRET, TOKEN, *signatures}
    assert not [(word, text) for text in seen for word in hidden if word in text]
    assert not [line for line in log.getvalue().splitlines() if any(w in line for w in hidden)]


def provide():
    """Return the credentials in the environment of a process."""
    return {
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "token": os.environ["TEST_TOKEN"],
        "expires_at": None,
    }


def test_a_provider_is_pickled_by_its_name(server, issuer, monkeypatch):
    monkeypatch.setenv("TEST_TOKEN", issuer.issue()["token"])
    store = by_obstore(server, credential_provider=provide)
    store.set("a", b"1")
    data = pickle.dumps(store)
    assert not [word for word in (KEY, SECRET, TOKEN) if word.encode() in data]
    here = Path(__file__).parent
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get('a'))"
    for token, expected in ((issuer.issue()["token"], "b'1'"), ("old", "ExpiredToken")):
        environment = os.environ | {
            "TEST_TOKEN": token,
            "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path]),
            "FASTZARR_FETCH__DEADLINE": "0.2",
        }
        done = subprocess.run(  # noqa: S603  (this file's program)
            [sys.executable, "-c", code],
            input=data,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert expected in (done.stdout + done.stderr).decode()


ELSEWHERE = """
import pickle, sys
store = pickle.load(sys.stdin.buffer)
print(type(store).__name__, str(store))
print(store.get("a"))
"""


def elsewhere(data, **environment):
    """Return what another process tells of a store, with more variables in its environment."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), *sys.path])
    hidden = {"AWS_EC2_METADATA_DISABLED": "true", "FASTZARR_FETCH__DEADLINE": "20"}
    done = subprocess.run(  # noqa: S603  (this file's program)
        [sys.executable, "-c", ELSEWHERE],
        input=data,
        env=os.environ | {"PYTHONPATH": paths} | hidden | environment,
        capture_output=True,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


def test_a_file_system_is_pickled_without_credentials():
    objects = {}

    def answer(asked):
        if KEY not in asked.headers.get("authorization", ""):
            return Reply(403, xml("AccessDenied", "who is there?").encode())
        return stored(objects, asked)

    with answering(answer) as server:
        store = static("s3fs", server)
        store.set("a", b"1")
        for one in (store, create_array(store, name="x", data=VALUES)):
            data = pickle.dumps(one)
            assert not [word for word in (KEY, SECRET, TOKEN) if word.encode() in data]
        # In this process it is the same, with its credentials.
        again = pickle.loads(pickle.dumps(store))
        assert again.fs is store.fs
        assert again.get("a") == b"1"
        data = pickle.dumps(store)
        names = {"FSSPEC_S3_KEY": KEY, "FSSPEC_S3_SECRET": SECRET, "FSSPEC_S3_TOKEN": TOKEN}
        assert "b'1'" in elsewhere(data, **names)
        names = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        assert "b'1'" in elsewhere(data, **names)
        said = elsewhere(data, AWS_CONFIG_FILE="/missing", AWS_SHARED_CREDENTIALS_FILE="/missing")
        assert "keeps key, secret, token to itself" in said
        assert "FSSPEC_S3_KEY and FSSPEC_S3_SECRET and FSSPEC_S3_TOKEN" in said


def test_credentials_inside_of_options_are_in_no_pickle(tmp_path):
    secrets = {"key": KEY, "secret": SECRET, "client_kwargs": {"aws_session_token": TOKEN}}
    chained = FsspecStore.from_url(
        "simplecache::s3://bucket/x",
        {"s3": secrets, "simplecache": {"cache_storage": str(tmp_path)}},
    )
    web = FsspecStore.from_url(
        f"https://me:{SECRET}@host/a?version=2&sig={TOKEN}",
        {"client_kwargs": {"headers": {"Authorization": KEY, "Accept": "*/*"}, "auth": KEY}},
    )
    for store in (chained, web):
        data = pickle.dumps(store)
        assert not [word for word in (KEY, SECRET, TOKEN) if word.encode() in data]
    assert b"version=2" in data
    assert b"Accept" in data
    again = pickle.loads(data)
    assert again.place is web.place
    assert vars(again)["_query"] == f"?version=2&sig={TOKEN}"


@pytest.mark.parametrize("token", ["anon", "google_default", "/path/of/a/file.json"])
def test_the_name_of_a_credential_is_kept_in_a_pickle(token):
    """The token of gcsfs is a method, or the path of a file."""
    found = pickled(LocalFileSystem(token=token, skip_instance_cache=True))
    assert (found.options, found.left_out) == ({"token": token}, ())
    hidden = pickled(LocalFileSystem(token=TOKEN, skip_instance_cache=True))
    assert (hidden.options, hidden.left_out) == ({}, ("token",))
