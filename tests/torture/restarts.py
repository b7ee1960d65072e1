"""Kill a Redis server before and after each request of every verb; its file is read by the next.

Rules of this file:

* The server writes each change to its append-only file, and syncs it, before it answers. A point is
  one kill -9 of it, before a request has arrived or before its reply has. Another server begins
  with the same file.
* Either the writer lives: then it repeats the request, and the verb must do what it does without a
  kill. Or it dies with the server: then each element must be as before or as after, new rows must
  be those that were appended, and the verb must complete when it is called again.
* A node is replaced, deleted and moved by several requests. It may be missing between them, but is
  never read with elements of neither state.

    python -m torture.restarts --every 3
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from redis.exceptions import ConnectionError as Cut
from servers import redis
from servers.process import HOST
from torture.frame import print_points, run_jobs, summary, told
from torture.harness import scratch
from torture.trap import forked

import fastzarr
from fastzarr.errors import GroupNotFoundError
from fastzarr.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torture.frame import Budget, Row

#: How the server is started.
OPTIONS = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
_OLD = np.arange(10)


class Verb(NamedTuple):
    """A verb, and the values of each array after it; None for a missing one."""

    name: str
    act: Callable[[fastzarr.Group], Any]
    new: dict[str, Any]
    #: Whether a node may be missing, or not whole, if the verb is not completed.
    in_steps: bool = False


def _with(part: slice, value: Any) -> Any:
    new = _OLD.copy()
    new[part] = value
    return new


def _set(group: fastzarr.Group, part: slice, value: int) -> None:
    group["x"][part] = value


VERBS = (
    Verb("write", lambda g: _set(g, slice(None), 7), {"x": _with(slice(None), 7)}),
    Verb("write a part", lambda g: _set(g, slice(3, 9), 7), {"x": _with(slice(3, 9), 7)}),
    Verb("write fill values", lambda g: _set(g, slice(4, 8), 0), {"x": _with(slice(4, 8), 0)}),
    Verb("append", lambda g: g["x"].append([5] * 6), {"x": np.append(_OLD, [5] * 6)}),
    Verb("shrink", lambda g: g["x"].resize(3), {"x": _OLD[:3]}),
    Verb("change attributes", lambda g: g["x"].attrs.update(a=2), {"x": _OLD}),
    Verb(
        "create",
        lambda g: g.create_array("y", data=np.ones(6, "i8"), chunks=2, overwrite="y" in g),
        {"x": _OLD, "y": np.ones(6)},
        in_steps=True,
    ),
    Verb(
        "replace",
        lambda g: g.create_array("x", data=np.ones(6, "i8"), chunks=2, overwrite=True),
        {"x": np.ones(6)},
        in_steps=True,
    ),
    Verb("delete", lambda g: g.__delitem__("x") if "x" in g else None, {"x": None}, in_steps=True),
)


class Power:
    """A server that is killed at a request, and what happens then."""

    def __init__(self, folder: Path) -> None:
        """Start a server."""
        self.folder = folder
        self.server = redis.launch(folder / "data", *OPTIONS)
        # The number of the request, whether it has been answered, and whether the writer dies.
        self.at, self.after, self.fatal = 0, False, False
        self.count = 0

    def store(self) -> RedisStore:
        """Return a store of the server."""
        return _Watched(host=HOST, port=self.server.ports[0])

    def kill(self) -> None:
        """Kill the server."""
        keeper = self.server.process.pid
        for one in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
            os.kill(int(one), signal.SIGKILL)

    def restart(self) -> None:
        """Start a server with the files of the one that was killed, at its port."""
        self.server.stop()
        port = self.server.ports[0]
        self.server = redis.launch(self.folder / "data", *OPTIONS, port=port)

    def send(self, request: Callable[[], Any]) -> Any:
        """Send a request, and kill the server if its number says so."""
        self.count += 1
        if self.count != self.at:
            return request()
        if self.after:
            request()
        self.kill()
        if self.fatal:
            os._exit(9)
        self.restart()
        msg = "the server was killed"
        raise Cut(msg)


class _Watched(RedisStore):
    """A store whose requests may kill the server."""

    def _send(self, commands: Any) -> Any:
        send = super()._send
        return _power[0].send(lambda: send(commands)) if _power else send(commands)


# That of the process; a child inherits it.
_power: list[Power] = []


def _wrong(found: dict[str, Any], verb: Verb, *, completed: bool) -> str | None:
    """Return what is wrong with the values that are found."""
    for name in ("x", "y"):
        old, new = (_OLD if name == "x" else None), verb.new.get(name)
        value = found.get(name)
        allowed = [new] if completed else [old, new]
        if any(_same(value, one) for one in allowed):
            continue
        if not completed and verb.in_steps and value is None:
            continue
        if not completed and value is not None and old is not None and new is not None:
            shape_known = len(value) in (len(old), len(new))
            rows = range(min(len(old), len(new)))
            each = shape_known and all(value[i] in (old[i], new[i]) for i in rows if i < len(value))
            longer = new if len(value) == len(new) else old
            if each and _same(value[len(rows) :], longer[len(rows) : len(value)]):
                continue
        return f"{name} is {None if value is None else value.tolist()}"
    return None


def _same(one: Any, other: Any) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def tries(every: int = 1) -> Iterator[tuple[str, str | None]]:
    """Try every so-many-th point of all verbs; yield its name, and what was wrong."""
    number = 0
    for verb in VERBS:
        for at in range(1, _requests(verb) + 1):
            for after in (False, True):
                for fatal in (False, True):
                    number += 1
                    if number % every == 0:
                        when = "after" if after else "before"
                        name = f"{verb.name}, killed {when} request {at}, {fatal=}"
                        yield name, _try(verb, at, after=after, fatal=fatal)


def _begun(folder: Path) -> Power:
    power = Power(folder)
    group = fastzarr.create_group(power.store(), path="g", attributes={"a": 1})
    group.create_array("x", data=_OLD, chunks=4, attributes={"a": 1})
    return power


def _requests(verb: Verb) -> int:
    folder = scratch()
    try:
        power = _begun(folder)
        _power.append(power)
        try:
            verb.act(fastzarr.open_group(power.store(), path="g"))
        finally:
            _power.clear()
            power.server.stop()
        return power.count
    finally:
        shutil.rmtree(folder)


def _try(verb: Verb, at: int, *, after: bool, fatal: bool) -> str | None:
    folder = scratch()
    try:
        power = _begun(folder)
        power.at, power.after, power.fatal = at, after, fatal
        _power.append(power)
        try:
            return _judged(verb, power)
        finally:
            _power.clear()
            power.server.stop()
    finally:
        shutil.rmtree(folder)


def _judged(verb: Verb, power: Power) -> str | None:
    def work() -> None:
        # The claim of a dead writer lasts twice as long.
        with fastzarr.config.set({"fetch.deadline": 0.25, "fetch.timeout": 0.25}):
            verb.act(fastzarr.open_group(power.store(), path="g"))

    if power.fatal:
        *_, code = forked(work)
        power.at = 0
        if code != 9:
            return "the writer did not die"
        power.restart()
        why = _wrong(_below_g(power), verb, completed=False)
        if why:
            return f"after the kill, {why}"
    with suppress(fastzarr.errors.NodeNotFoundError):
        verb.act(fastzarr.open_group(power.store(), path="g"))
    if verb.name == "append" and power.fatal:
        # The rows may have been appended before the kill, and are then there twice.
        found = _below_g(power)["x"].tolist()
        new = verb.new["x"].tolist()
        return None if found in (new, new + new[10:]) else f"at the end, x is {found}"
    why = _wrong(_below_g(power), verb, completed=True)
    return why and f"at the end, {why}"


def _below_g(power: Power) -> dict[str, Any]:
    try:
        group = fastzarr.open_group(power.store(), path="g", mode="r")
    except GroupNotFoundError:
        return {}
    return {name: array[:] for name, array in group.arrays()}


def prove(budget: Budget, seed: int) -> list[Row]:
    """Kill the server at every point, every fourth first."""
    del seed
    jobs = [["torture.restarts", "--every", every] for every in ("4", "1")]
    what = "kill -9 of a Redis server with an append-only file, alone or with the writer"
    return [summary(19, what, run_jobs(jobs, budget), 100, told, controlled=False)]


def main() -> int:
    """Try the points, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m torture.restarts", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th point")
    print_points(tries(parser.parse_args().every))
    return 0


if __name__ == "__main__":
    sys.exit(main())
