"""A server of this process with the requests of Google Cloud Storage's XML API that obstore makes.

It keeps objects with their metadata and generations, and compares generations as Google's does:
``x-goog-if-generation-match`` is that of the object to replace, 0 for none. Google's own server
cannot be had; the emulators that can be installed (fake-gcs-server, gcp-storage-emulator) have only
the JSON API, which obstore does not use.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from servers.answering import Reply, answering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.answering import Asked

_WHEN = "Wed, 21 Oct 2015 07:28:00 GMT"
_range = re.compile(r"bytes=(\d*)-(\d*)").fullmatch


def _refused(status: int, code: str) -> Reply:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Reply(status, text.encode(), {"Content-Type": "application/xml"})


@dataclass
class _Object:
    value: bytes
    generation: int
    metadata: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        etag = md5(self.value, usedforsecurity=False).hexdigest()
        stated = {"ETag": f'"{etag}"', "x-goog-generation": str(self.generation)}
        return {**stated, "Last-Modified": _WHEN, **self.metadata}


@dataclass
class Bucket:
    """The objects of the bucket ``box``."""

    objects: dict[str, _Object] = field(default_factory=dict)
    generation: int = 1000
    lock: Any = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Reply:
        """Return the answer to a request."""
        parts = urlsplit(asked.target)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if bucket != "box":
            return _refused(404, "NoSuchBucket")
        with self.lock:
            if not key:
                return self._listing({k: v[0] for k, v in parse_qs(parts.query).items()})
            return getattr(self, f"_{asked.method.lower()}")(key, asked)

    def _put(self, key: str, asked: Asked) -> Reply:
        found = self.objects.get(key)
        wanted = asked.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != (found.generation if found else 0):
            return _refused(412, "PreconditionFailed")
        self.generation += 1
        kept = {n: v for n, v in asked.headers.items() if n.startswith("x-goog-meta-")}
        made = _Object(asked.body, self.generation, kept)
        if "x-goog-copy-source" in asked.headers:
            source = unquote(asked.headers["x-goog-copy-source"]).lstrip("/").partition("/")[2]
            if source not in self.objects:
                return _refused(404, "NoSuchKey")
            made = replace(self.objects[source], generation=self.generation)
        self.objects[key] = made
        return Reply(200, b"", made.headers)

    def _get(self, key: str, asked: Asked) -> Reply:
        found = self.objects.get(key)
        if found is None:
            return _refused(404, "NoSuchKey")
        part = _range(asked.headers.get("range", ""))
        size = len(found.value)
        if part is None:
            return Reply(200, found.value, found.headers)
        start = int(part[1]) if part[1] else max(size - int(part[2]), 0)
        end = min(int(part[2]) + 1, size) if part[1] and part[2] else size
        if start >= end:
            return _refused(416, "InvalidRange")
        stated = found.headers | {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return Reply(206, found.value[start:end], stated)

    def _head(self, key: str, asked: Asked) -> Reply:
        return self._get(key, asked)

    def _delete(self, key: str, _: Asked) -> Reply:
        return Reply(204) if self.objects.pop(key, None) else _refused(404, "NoSuchKey")

    def _listing(self, query: dict[str, str]) -> Reply:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        text, folders = "", set()
        for key, found in sorted(self.objects.items()):
            if not key.startswith(prefix):
                continue
            name, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if cut:
                folders.add(prefix + name + cut)
                continue
            text += f"<Contents><Key>{escape(key)}</Key><Size>{len(found.value)}</Size>"
            text += f"<ETag>{escape(found.headers['ETag'])}</ETag>"
            text += "<LastModified>2015-10-21T07:28:00.000Z</LastModified></Contents>"
        for folder in sorted(folders):
            text += f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{text}</ListBucketResult>"
        return Reply(200, text.encode(), {"Content-Type": "application/xml"})


@contextmanager
def running(folder: Path) -> Iterator[dict[str, Any]]:
    """Run the server, and return the options with which obstore opens ``gs://box`` there."""
    with answering(Bucket().answer) as server:
        account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": ""}
        path = folder / "account.json"
        path.write_text(json.dumps(account | {"private_key": "", "private_key_id": ""}))
        yield {"service_account": str(path), "client_options": {"allow_http": True}}
