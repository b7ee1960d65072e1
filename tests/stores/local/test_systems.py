"""The local store on systems that lack what Linux has, simulated in processes of their own.

What a system lacks is in ``systems.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = f"""\
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import systems
"""

SYSTEMS = {
    "windows": "systems.windows(); systems.without_files()",
    "windows, no links": "systems.windows(links=False); systems.without_files()",
    "windows, no extension": "systems.windows(); systems.without_extension()",
    "macos": "systems.macos()",
    "macos, no extension": "systems.macos(); systems.without_extension()",
}

COMMON = """
import warnings
warnings.simplefilter("ignore")
import os
import numpy as np
import fastzarr as zarr
from fastzarr.errors import ZarrRuntimeWarning

root = sys.argv[1]

def strays():
    found = [name for _, *both in os.walk(root) for names in both for name in names]
    return [name for name in found if name.endswith("-tmp")]
"""

JOURNEY = (
    COMMON
    + """
for level in ("none", "replace", "full"):
    for zarr_format in (2, 3):
        with zarr.config.set({"durability": level}):
            group = zarr.create_group(f"{root}/{level}{zarr_format}", zarr_format=zarr_format)
            x = np.arange(600, dtype="i4").reshape(20, 30)
            z = group.create_array("x", shape=x.shape, chunks=(6, 7), dtype="i4")
            z[:] = x
            z[3:9, 4] = x[3:9, 4] = -1
            z[:, ::-2] = x[:, ::-2] = x[:, ::-2] + 1
            z.append(x)
            assert z.shape == (40, 30)
            z.resize((25, 30))
            z.attrs["a"] = 1
            again = zarr.open_group(f"{root}/{level}{zarr_format}", mode="r")["x"]
            assert np.array_equal(again[:20], x) and (again[20:] == x[:5]).all()
            z.resize((40, 30))
            assert not z[25:].any()
            z[:5] = 0  # whole chunks of nothing but the fill value are deleted
            assert z.nchunks_initialized < z.nchunks and not z[:5].any()
            group.move("x", "deep/y")
            group.create_array("x", shape=4, dtype="u1", fill_value=3)[:2] = 1
            group.create_array("x", shape=3, dtype="u1", fill_value=7, overwrite=True)
            assert group["x"][:].tolist() == [7, 7, 7]
            group["x"] = [1, 2]
            assert sorted(group) == ["deep", "x"] and sorted(group["deep"]) == ["y"]
            assert np.array_equal(group["deep/y"][5:20], x[5:])
            zarr.consolidate_metadata(group.store)
            assert sorted(zarr.open_consolidated(group.store)) == ["deep", "x"]
            del group["deep"]
            assert sorted(group) == ["x"]
            try:
                group.create_array("x", shape=1, dtype="u1")
                raise AssertionError
            except zarr.errors.ContainsArrayError:
                pass
            zarr.create_group(group.store, overwrite=True).require_group("b/c")
            assert sorted(zarr.open_group(group.store)) == ["b"]
            group.store.set("b/k", b"1")
            fill = lambda key: group.store.set(key, b"")
            for verb in (group.store.get, group.store.delete, fill):
                try:
                    verb("b/c")
                    raise AssertionError(verb)
                except IsADirectoryError:
                    pass
            group.store.delete("b/k")
            group.store.flush()
            group.store.clear()
            assert not list(group.store)
assert not strays(), strays()
print("done")
"""
)

THREADS = (
    COMMON
    + """
from concurrent.futures import ThreadPoolExecutor

group = zarr.create_group(root)
z = group.create_array("x", shape=(8, 40), chunks=(8, 10), dtype="i4")
group.create_array("moved", data=np.arange(100), chunks=10)
seen = []

def work(number):
    mine = zarr.open_group(root)
    for turn in range(10):
        mine["x"][number] = turn * 8 + number + 1
        mine.attrs[f"{number}.{turn}"] = turn
        seen.append(mine["x"][:].max())
        mine["x"].attrs[str(number)] = turn
        if number == 0:
            mine.move("moved", "there/moved")
            mine.move("there/moved", "moved")
        if number == 1:
            mine.create_array("new", data=np.full(5, turn), overwrite=True)
        if number == 2:
            while True:
                try:
                    with mine.transaction():
                        mine.create_array(f"made/{turn}", data=[turn])
                    break
                except zarr.errors.TransactionError as error:
                    assert "repeat the transaction" in str(error)

with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
group = zarr.open_group(root)
assert (group["x"][:] == (np.arange(8) + 73)[:, None]).all(), group["x"][:]
assert len(group.attrs) == 80 and len(group["x"].attrs) == 8
assert group["moved"][:].tolist() == list(range(100))
assert group["new"][:].tolist() == [9] * 5
assert sorted(group["made"]) == sorted(map(str, range(10)))
assert not strays(), strays()
print("done")
"""
)

TRANSACTIONS = (
    COMMON
    + """
from fastzarr.stores.local import staged

for zarr_format in (2, 3):
    path = f"{root}/{zarr_format}"
    group = zarr.create_group(path, zarr_format=zarr_format)
    z = group.create_array("g/x", data=np.arange(10), chunks=5)
    group.create_array("y", data=np.arange(4), chunks=2)
    other = zarr.open_group(path)
    with group.transaction():
        z[2:7] = -1
        group["y"].resize(3)
        group.attrs["a"] = 1
        assert other["g/x"][2] == 2 and "a" not in other.attrs
    assert other["g/x"][:].tolist() == [0, 1, -1, -1, -1, -1, -1, 7, 8, 9]
    assert other["y"].shape == (3,) and zarr.open_group(path).attrs["a"] == 1
    try:
        with group.transaction():
            z[:] = 0
            raise KeyError
    except KeyError:
        pass
    assert z[1] == 1

    # A writer that dies after its commit leaves a journal.
    finish, staged.finish = staged.finish, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    try:
        with group.transaction():
            z[:] = 5
            group["y"][:] = 6
    except KeyboardInterrupt:
        pass
    staged.finish = finish
    # A store that was open before completes it before it changes one of the arrays.
    other["y"][0] = 7
    again = zarr.open_group(path, mode="r")
    assert again["g/x"][:].tolist() == [5] * 10 and again["y"][:].tolist() == [7, 6, 6]
    # The marks that led to the journal end with the next change of their node.
    other["g"].attrs["b"] = other["g/x"].attrs["b"] = 1
assert not strays(), strays()
print("done")
"""
)

WARNING = """
import warnings
import fastzarr as zarr

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in "ab":
        z = zarr.open_group(sys.argv[1]).create_array(name, shape=4, dtype="i4")
        z[:2] = 1
        z[1:] = 2
        z.attrs["a"] = 1
said = [str(one.message) for one in caught]
print(len([one for one in said if "different processes must not" in one]))
"""

SUITE = """
import pytest
from fastzarr.stores import LocalStore
from fastzarr.testing import StoreTests

class TestLocalStore(StoreTests):
    @pytest.fixture(params=["none", "replace", "full"])
    def store(self, tmp_path, request):
        return LocalStore(tmp_path / "some" / "root", durability=request.param)
"""

RUN = """
import pytest
sys.exit(pytest.main(["-q", "-x", "-s", "-p", "no:cacheprovider", "-W", "ignore::UserWarning",
                      "--basetemp", sys.argv[1], sys.argv[2]]))
"""


# Nothing but the package is imported in such a process.
ENV = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def run(folder: Path, system: str, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(f"{BEGIN}{SYSTEMS[system]}\n{script}")
    command = [sys.executable, path, folder / "work", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENV)  # noqa: S603  (ours)


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    "script", [JOURNEY, THREADS, TRANSACTIONS], ids=["journey", "threads", "transactions"]
)
def test_programs_run(script: str, system: str, tmp_path: Path) -> None:
    done = run(tmp_path, system, script)
    assert done.stdout == "done\n", done.stderr[-3000:]


def test_what_is_missing_is_said_once(system: str, tmp_path: Path) -> None:
    done = run(tmp_path, system, WARNING)
    assert done.stdout.strip() == str(int("windows" in system)), done.stderr[-3000:]


def test_the_store_keeps_its_promises(system: str, tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    done = run(tmp_path, system, RUN, str(suite))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
