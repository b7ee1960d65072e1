"""Every entry of the extension registry: files of other libraries are read, and they read ours.

golden/make_registry.py made the files of the other libraries.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop.registry import ENTRIES, same, write
from peers import HERE, PEERS

import fastzarr

_GOLDEN = Path(__file__).parent.parent / "golden" / "registry"
FILES = sorted(str(path.relative_to(_GOLDEN))[:-4] for path in _GOLDEN.glob("*/*.zip"))


def stored(name: str) -> dict[str, bytes]:
    """Return what is in an archive."""
    with zipfile.ZipFile(_GOLDEN / f"{name}.zip") as archive:
        return {one: archive.read(one) for one in archive.namelist()}


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("name", FILES)
def test_files_of_others_are_read_whole_and_in_part(name: str) -> None:
    entry, found = ENTRIES[name.partition("/")[0]], stored(name)
    values = entry.values
    if entry.lossy:
        values = np.load(io.BytesIO(found.pop("expected.npy")))
    array: Any = fastzarr.open_array(found, mode="r")
    assert array.shape == values.shape
    assert same(np.asarray(array[...]), values)
    part = tuple(slice(n // 3, n - 1) for n in values.shape)
    assert same(np.asarray(array[part]), values[part])


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("name", ENTRIES)
def test_we_write_and_peers_read_it(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    values = write(HERE, entry, tmp_path / "a")
    part = tuple(slice(0, n // 2) for n in values.shape)
    HERE.update(tmp_path / "a", part, values[part])
    again = HERE.read(tmp_path / "a").values
    # Zfp rounds differently once a part of a chunk was rounded.
    assert entry.lossy or same(again, entry.values)
    for peer in PEERS.values():
        if f"{name}/{peer.name}" not in FILES:
            continue
        # An older version of the peer need not know what a newer one has written.
        theirs = tmp_path / peer.name
        for key, value in stored(f"{name}/{peer.name}").items():
            (theirs / key).parent.mkdir(parents=True, exist_ok=True)
            (theirs / key).write_bytes(value)
        try:
            peer.read(theirs)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001, S112  (panics of Rust are no Exceptions)
            continue
        assert same(peer.read(tmp_path / "a").values, again), peer.name


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, entry in ENTRIES.items()
        if entry.document["zarr_format"] == 3 and not entry.legacy
    ],
)
def test_new_arrays_have_the_registered_spelling(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(entry.document))
    old: Any = fastzarr.open_array(tmp_path / "a")
    new: Any = fastzarr.empty_like(old, store=tmp_path / "b")
    found = json.loads((tmp_path / "b" / "zarr.json").read_bytes())
    for member in ("data_type", "chunk_grid", "chunk_key_encoding"):
        assert _usual(found[member]) == _usual(entry.document[member])
    assert [_name(codec) for codec in found["codecs"]] == [
        _name(codec) for codec in entry.document["codecs"]
    ]
    assert new.shape == old.shape


def _name(codec: Any) -> str:
    name: str = codec if isinstance(codec, str) else codec["name"]
    return name


def _usual(member: Any) -> Any:
    return {"name": member} if isinstance(member, str) else member


def test_the_page_has_a_row_for_every_entry() -> None:
    page = (Path(__file__).parent.parent.parent / "FORMATS.md").read_text()
    rows = [line.split("|")[1].strip().strip("()") for line in page.splitlines() if "|" in line]
    assert sorted(rows) == sorted(
        [*(entry.name for entry in ENTRIES.values()), *["entry", "---"] * 5]
    )
