"""A MongoDB server: ``mongod`` if it is installed, otherwise mongomock behind the wire protocol.

Neither Debian nor a wheel has a ``mongod``; the packages of PyPI and npm that name one download it
from elsewhere. FerretDB 1.24.2, a Go module with the same protocol over SQLite, is no substitute:
it looks for a document and then replaces it by its id, without a lock between the two, so that two
writers can swap the same value, and it stopped answering beside several bulk writes. The tests here
that have a single writer and no ``failCommand`` pass with it, other than two: its word for a
duplicate key is ``InternalError``, and its answers to ``find`` may be longer than it says.

``KIND`` says which server the tests use. As a program, this file is the one in MongoDB's place: it
answers each command at once and alone, as MongoDB does for a single document, and keeps nothing
when it ends. It knows the commands that pymongo sends for the methods that the tests call, and
``failCommand`` of ``configureFailPoint``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import struct
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.process import HOST, KEEPER, UnavailableError, listens, run, start, start_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from servers.process import Server

MONGOD = shutil.which("mongod")
KIND = f"MongoDB: {MONGOD or 'mongomock behind the wire protocol, because there is no mongod here'}"
_MESSAGE, _QUERY, _REPLY = 2013, 2004, 1
_LARGEST = 16 << 20
# MongoDB has as many documents in the first answer to a listing.
_DOCUMENTS = 101
_NAMES = {13: "Unauthorized", 91: "ShutdownInProgress", 14031: "OutOfDiskSpace"}
_HELLO = {
    "helloOk": True,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": _LARGEST,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "readOnly": False,
}


@dataclass(frozen=True)
class Collection:
    """The documents of one test."""

    port: int
    name: str = "zarr_collection"

    def store(self, module: str) -> Any:
        """Return a new store of this package."""
        assert module == "fastzarr", "zarr-python 3 has none"
        from fastzarr.stores import MongoDBStore

        return MongoDBStore(collection=self.name, host=HOST, port=self.port)


class Database:
    """What the server has, and the answers to commands."""

    def __init__(self) -> None:
        """Initialise without documents."""
        import mongomock

        self.client = mongomock.MongoClient()
        self.cursors: dict[int, list[Any]] = {}
        self.numbers = count(1)
        self.failing: dict[str, Any] = {}

    def answer(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a command, or None to close the connection."""
        name = next(iter(command))
        if name in self.failing.get("failCommands", ()) and self.failing["times"] > 0:
            self.failing["times"] -= 1
            if self.failing.get("closeConnection"):
                return None
            code = self.failing["errorCode"]
            labels = {"errorLabels": self.failing.get("errorLabels", [])}
            name = _NAMES.get(code, "UnknownError")
            return {"ok": 0, "code": code, "codeName": name, "errmsg": "as told", **labels}
        verb = getattr(self, f"do_{name.lower()}", None)
        if verb is None:
            return {"ok": 0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no {name}"}
        found = self.client[command.get("$db", "admin")]
        where = found[command[name]] if isinstance(command[name], str) else found
        return {"ok": 1, **verb(where, command)}

    def do_hello(self, _: Any, __: dict[str, Any]) -> dict[str, Any]:
        """Say what the server can do."""
        return {**_HELLO, "localTime": dt.datetime.now(dt.UTC)}

    do_ismaster = do_hello

    def do_nothing(self, _: Any, __: dict[str, Any]) -> dict[str, Any]:
        """Do nothing."""
        return {}

    do_ping = do_endsessions = do_killcursors = do_nothing

    def do_configurefailpoint(self, _: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Let the next commands of some names fail."""
        self.failing = {**command.get("data", {}), "times": 0}
        if isinstance(command["mode"], dict):
            self.failing["times"] = command["mode"]["times"]
        return {}

    def do_createindexes(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Create indexes; fail if a unique one is impossible."""
        from pymongo.errors import DuplicateKeyError

        for index in command["indexes"]:
            try:
                where.create_index(list(index["key"].items()), unique=index.get("unique", False))
            except DuplicateKeyError as error:
                return {"ok": 0, "code": 11000, "codeName": "DuplicateKey", "errmsg": str(error)}
        return {}

    def do_listindexes(self, where: Any, _: dict[str, Any]) -> dict[str, Any]:
        """List the indexes of a collection."""
        found = where.index_information().items()
        indexes = [{**how, "name": name, "key": dict(how["key"])} for name, how in found]
        return self.cursor(where, indexes, "firstBatch")

    def each(self, changes: list[Any], change: Any) -> dict[str, Any]:
        """Make changes one by one; return the answer with their failures."""
        from pymongo.errors import DuplicateKeyError

        answer: dict[str, Any] = {"n": 0}
        for index, one in enumerate(changes):
            try:
                change(one, answer, index)
            except DuplicateKeyError as error:
                failure = {"index": index, "code": 11000, "errmsg": str(error)}
                answer.setdefault("writeErrors", []).append(failure)
        return answer

    def do_insert(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Insert documents."""

        def insert(document: dict[str, Any], answer: dict[str, Any], _: int) -> None:
            where.insert_one(document)
            answer["n"] += 1

        return self.each(command["documents"], insert)

    def do_update(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Replace documents."""

        def update(one: dict[str, Any], answer: dict[str, Any], index: int) -> None:
            done = where.replace_one(one["q"], one["u"], upsert=one.get("upsert", False))
            answer["n"] += done.matched_count or done.upserted_id is not None
            answer["nModified"] = answer.get("nModified", 0) + done.modified_count
            if done.upserted_id is not None:
                found = {"index": index, "_id": done.upserted_id}
                answer.setdefault("upserted", []).append(found)

        return {"nModified": 0, **self.each(command["updates"], update)}

    def do_delete(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Delete documents."""

        def delete(one: dict[str, Any], answer: dict[str, Any], _: int) -> None:
            verb = where.delete_one if one.get("limit") else where.delete_many
            answer["n"] += verb(one["q"]).deleted_count

        return self.each(command["deletes"], delete)

    def do_find(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Find documents."""
        found = where.find(command.get("filter"), command.get("projection"))
        return self.cursor(where, list(found.limit(command.get("limit", 0))), "firstBatch")

    def do_getmore(self, _: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Return more documents of a cursor."""
        where = self.client[command["$db"]][command["collection"]]
        rest = self.cursors.pop(command["getMore"])
        return self.cursor(where, rest, "nextBatch", command["getMore"])

    def do_aggregate(self, where: Any, command: dict[str, Any]) -> dict[str, Any]:
        """Run a pipeline, such as that of a count."""
        return self.cursor(where, list(where.aggregate(command["pipeline"])), "firstBatch")

    def do_dropdatabase(self, where: Any, _: dict[str, Any]) -> dict[str, Any]:
        """Delete a database."""
        self.client.drop_database(where.name)
        return {}

    def cursor(self, where: Any, found: list[Any], name: str, number: int = 0) -> dict[str, Any]:
        """Return the first documents, as many as an answer may have, and keep the others."""
        import bson

        size, taken = 0, 0
        while taken < min(len(found), _DOCUMENTS):
            size += len(bson.encode(found[taken]))
            if taken and size > _LARGEST:
                break
            taken += 1
        number = (number or next(self.numbers)) if taken < len(found) else 0
        if number:
            self.cursors[number] = found[taken:]
        return {"cursor": {"id": bson.Int64(number), "ns": where.full_name, name: found[:taken]}}


def command_in(code: int, body: bytes) -> dict[str, Any]:
    """Return the command of a message."""
    import bson

    if code == _QUERY:
        at = body.index(b"\0", 4) + 9
        return dict(bson.decode(body[at : at + struct.unpack_from("<i", body, at)[0]]))
    command: dict[str, Any] = {}
    at = 4
    while at < len(body):
        kind = body[at]
        size = struct.unpack_from("<i", body, at + 1)[0]
        if kind == 0:
            command = {**bson.decode(body[at + 1 : at + 1 + size]), **command}
        else:
            end = body.index(b"\0", at + 5)
            command[body[at + 5 : end].decode()] = bson.decode_all(body[end + 1 : at + 1 + size])
        at += 1 + size
    # The name of the command comes first, whatever the order of the sections.
    lists = {name: held for name, held in command.items() if isinstance(held, list)}
    return {name: held for name, held in command.items() if name not in lists} | lists


async def converse(
    database: Database, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the messages of a connection."""
    import bson

    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            size, number, _, code = struct.unpack("<iiii", await reader.readexactly(16))
            answer = database.answer(command_in(code, await reader.readexactly(size - 16)))
            if answer is None:
                break
            text = bson.encode(answer)
            if code == _QUERY:
                head, kind = struct.pack("<iqii", 8, 0, 0, 1), _REPLY
            else:
                head, kind = struct.pack("<ib", 0, 0), _MESSAGE
            writer.write(struct.pack("<iiii", 16 + len(head) + len(text), 1, number, kind))
            writer.write(head + text)
            await writer.drain()
    writer.close()


async def serve(port: int) -> None:
    """Listen on a port."""
    database = Database()
    server = await asyncio.start_server(
        lambda reader, writer: converse(database, reader, writer), HOST, port, limit=1 << 26
    )
    await server.start_serving()


@contextmanager
def running() -> Iterator[Server]:
    """Run the server, in a temporary folder."""
    try:
        import mongomock  # noqa: F401  (asked for before the server is started)
    except ImportError:
        if MONGOD is None:
            msg = "there is no mongod, and mongomock is not installed"
            raise UnavailableError(msg) from None
    folder = Path(tempfile.mkdtemp(prefix="fastzarr-mongo-"))
    data, log = folder / "data", folder / "log"
    data.mkdir()

    def command(ports: Sequence[int]) -> list[str]:
        words = ("--port", ports[0], "--bind_ip", HOST, "--dbpath", data)
        tests = ("--setParameter", "enableTestCommands=1")
        return [*KEEPER, str(folder / "none"), str(MONGOD), *map(str, words), *tests]

    try:
        if MONGOD is None:
            server = start_module("servers.mongo", log=log)
        else:
            server = start(command, lambda ports: listens(ports[0]), log)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run(serve(int(sys.argv[1])))
