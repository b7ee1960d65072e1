"""Documents written by fastzarr mean the same to zarr-python."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype

from fastzarr.metadata import GroupLayout, Layout, json, v2, v3
from fastzarr.metadata.v2 import FORMAT as V2
from fastzarr.metadata.v3 import FORMAT as V3

# What zarr-python 3 cannot read in the form of the specification, which fastzarr writes.
UNREADABLE = {"t/structured": "struct before zarr-python 3.2"}


def as_store(documents: dict[str, bytes]) -> Any:
    make = default_buffer_prototype().buffer.from_bytes
    return zarr.storage.MemoryStore({key: make(data) for key, data in documents.items()})


def check_same(theirs: Any, ours: Layout | GroupLayout) -> None:
    if isinstance(ours, GroupLayout):
        assert isinstance(theirs, zarr.Group)
        return
    assert (theirs.shape, theirs.chunks) == (ours.shape, ours.inner_chunks)
    assert theirs.attrs.asdict() == ours.attributes
    if ours.dtype.itemsize is not None:
        assert theirs.dtype == ours.dtype.numpy
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = theirs[...]
    if ours.fill is not None and ours.dtype.itemsize is not None and values.size:
        expected = np.full_like(values, ours.fill)
        assert values.tobytes() == expected.tobytes()


@pytest.fixture
def nodes(golden):
    return {
        key.removesuffix("/zarr.json"): v3.parse(json.loads(data, key), key)
        for key, data in golden("zarr-python-3.1.6-format-3").items()
        if key != "zarr.json"
    }


def test_format_3(nodes):
    readable = {path: node for path, node in nodes.items() if path not in UNREADABLE}
    assert len(nodes) - len(readable) == len(UNREADABLE)
    root = GroupLayout(V3, {"title": "x"}, readable)
    docs = {f"{path}/zarr.json": json.dumps(v3.document(node)) for path, node in readable.items()}
    docs["zarr.json"] = json.dumps(v3.document(root))
    for use in (True, False):
        group = zarr.open_group(as_store(docs), mode="r", use_consolidated=use)
        assert group.attrs.asdict() == {"title": "x"}
        for path, node in readable.items():
            check_same(group[path], node)


def test_format_2(golden):
    docs = golden("zarr-python-3.1.6-format-2")
    nodes = V2.parse_consolidated(json.loads(docs[".zmetadata"], ".zmetadata"), ".zmetadata")
    written = {".zmetadata": json.dumps(V2.write_consolidated(dict(nodes)), ".zmetadata")}
    for path, node in nodes.items():
        for name, doc in v2.documents(node).items():
            written[f"{path}/{name}".lstrip("/")] = json.dumps(doc, name)
    for use in (True, False):
        store = as_store(written)
        group = zarr.open_group(store, mode="r", zarr_format=2, use_consolidated=use)
        assert repr(group.attrs.asdict()) == "{'title': 'x', 'n': nan, 'i': [1, 2]}"
        for path, node in nodes.items():
            if path:
                check_same(group[path], node)
