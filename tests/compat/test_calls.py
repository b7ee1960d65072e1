"""What a call through the facade adds to that of fastzarr: few Python frames, and no thread."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from test_budgets import frames

import fastzarr
import fastzarr.compat as zarr
from fastzarr.compat.core.dtype import Float32, data_type_registry, parse_dtype

MADE = {"shape": (4, 4), "chunks": (2, 2), "dtype": "f4"}


@pytest.fixture
def root(tmp_path):
    """Return the path of a group with an array."""
    path = str(tmp_path / "x")
    zarr.open_group(path, mode="w").create_array("a", **MADE)
    return path


# The bounds are for the frames that are added, about a fifth above what they were.
@pytest.mark.parametrize(
    ("call", "most"),
    [
        (lambda zarr, root: zarr.open_array(f"{root}/a", mode="r"), 52),
        (lambda zarr, root: zarr.open_group(root, mode="r"), 40),
        (lambda zarr, root: zarr.open_group(root, mode="r")["a"][0, 0], 56),
        (lambda zarr, root: zarr.open_group(root, mode="r")["a"].attrs.asdict(), 56),
    ],
    ids=["open_array", "open_group", "element", "attributes"],
)
def test_a_call_of_the_facade_adds_few_frames(call, most, root):
    counts = []
    for package in (zarr, fastzarr):
        call(package, root)
        counts.append(len(frames(lambda package=package: call(package, root))))
    assert counts[0] - counts[1] <= most, counts


def test_creating_an_array_in_a_group_adds_few_frames(root):
    counts = []
    for package in (zarr, fastzarr):
        group = package.open_group(root, mode="r+")
        group.create_array(f"{package.__name__}-1", **MADE)
        name = f"{package.__name__}-2"
        counts.append(len(frames(lambda group=group, name=name: group.create_array(name, **MADE))))
    assert counts[0] - counts[1] <= 250, counts


def test_plain_calls_in_folders_start_no_thread(tmp_path):
    code = f"""
import threading
import fastzarr.compat as zarr
path = {str(tmp_path / "x")!r}
group = zarr.open_group(path, mode="w")
group.create_array("a", shape=4, chunks=2, dtype="f4")[:] = 1
zarr.create_array(path + "/b", shape=4, dtype="f4")
zarr.open_array(path + "/a", mode="r")[:]
zarr.Array.open(path + "/a").attrs.update({{"b": 1}})
assert threading.active_count() == 1, threading.enumerate()
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_what_a_data_type_was_is_forgotten_with_its_class():
    assert (
        parse_dtype("f4", zarr_format=3) == parse_dtype(np.dtype("f4"), zarr_format=2) == Float32()
    )
    data_type_registry.unregister("float32")
    try:
        for spec in ("float32", np.dtype("f4")):
            with pytest.raises(ValueError, match="No Zarr data type found"):
                parse_dtype(spec, zarr_format=3)
    finally:
        data_type_registry.register("float32", Float32)
    assert parse_dtype("float32", zarr_format=3) == Float32()


def test_a_class_that_is_registered_later_is_asked():
    class Other(Float32):
        _zarr_v3_name = "other"

        @classmethod
        def _check_native_dtype(cls, dtype):  # noqa: ARG003  (the signature of the base)
            return False

    with pytest.raises(ValueError, match="No Zarr data type found"):
        data_type_registry.match_json("other", zarr_format=3)
    data_type_registry.register("other", Other)
    try:
        assert type(data_type_registry.match_json("other", zarr_format=3)) is Other
    finally:
        data_type_registry.unregister("other")
