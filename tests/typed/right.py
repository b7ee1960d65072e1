"""Programs that use the package as it is meant to be used: a type checker must accept every line.

The file is read by a type checker in ``test_typed.py``, and also run.
"""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from obstore.store import MemoryStore as Objects

import fastzarr as zarr
from fastzarr import codecs, errors, storage
from fastzarr.codecs import BloscCodec, ShardingCodec, ZstdCodec
from fastzarr.dtype import DateTime64
from fastzarr.storage import LocalStore, MemoryStore, ObjectStore, StorePath
from fastzarr.types import ArrayLike, ArrayOptions, Index, Mode, Order, StoreLike, ZarrFormat


def use(*values: object) -> None:
    """Use values."""
    for value in values:
        str(value)


def arrays(folder: str) -> None:
    """Create and open arrays."""
    store = LocalStore(folder, durability="full")
    z = zarr.create_array(store, name="a", shape=(20, 30), chunks=(10, -1), dtype="f4")
    z = zarr.create_array(
        store,
        name="b",
        data=np.arange(60).reshape(6, 10),
        chunks=(2, None),
        shards="auto",
        compressors=[ZstdCodec(level=3), "crc32c"],
        filters=None,
        serializer={"name": "bytes", "configuration": {"endian": "big"}},
        fill_value=-1,
        zarr_format=3,
        attributes={"units": "K"},
        chunk_key_encoding={"name": "v2", "separator": "/"},
        dimension_names=["y", None],
        overwrite=True,
        config={"write_empty_chunks": True},
        progress=lambda done, total: None,
    )
    z = zarr.create_array({}, shape=3, dtype=np.int16, chunks=np.int64(2))
    z = zarr.create_array({}, shape=[3], dtype=np.dtype("i2"), chunks="auto", compressors=None)
    z = zarr.create_array({}, data=[["a", None], ["b", "c"]], dtype="string")
    z = zarr.create_array({}, shape=3, dtype="i4", compression="gzip", compression_opts=1)
    z = zarr.create_array({}, shape=3, dtype="i4", compressor=zarr.Blosc(), zarr_format=2)
    z = zarr.create((4, 4), 2, "i4", fill_value=7, order="F", path="x", zarr_format=2)
    z = zarr.create_array(
        {},
        shape=(64,),
        dtype="u1",
        codecs=[
            ShardingCodec(chunk_shape=[8], codecs=["bytes", BloscCodec(cname="lz4", shuffle=1)])
        ],
    )
    z = zarr.from_array(store, data=z, name="c", chunks="keep", dimension_names=("x",))
    z = zarr.array([1, 2, 3], chunks=2, store=store, path="d", overwrite=True)
    z = zarr.array(z)
    z = zarr.empty((3,), dtype="f8")
    z = zarr.zeros((3, 4), chunks=True, dtype="i4", store=store, path="e")
    z = zarr.ones(3, dtype=float, zarr_format=2)
    z = zarr.full(3, 7, dtype="i4")
    z = zarr.zeros_like(z, dtype="f4")
    z = zarr.ones_like(np.arange(3))
    z = zarr.full_like(z, 5)
    z = zarr.open_array(store, "r", path="e")
    z = zarr.open_array(folder + "/new", mode="w", shape=3, dtype="i2")
    z = zarr.open(store, mode="a", path="f", shape=(3,), dtype="i2")
    z[...] = 1


def elements() -> None:
    """Read and write elements."""
    z = zarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
    whole: npt.NDArray[Any] = z[:]
    mean: float = z[:].mean()
    row = z[1, ::-2].astype("f4").sum(axis=0)
    number = int(z[0, 0]) + float(z[0, np.int64(1)])
    z[1, ::-2] = [1, 2, 3]
    z[np.array([0, 1])] = z[[0, 1]]
    z[z[:] > 2] = 0
    z[..., 0] = np.arange(4)
    z[0, None] = whole[0]
    z[0] = 5.0
    z.oindex[[0, 2], 1:3] = 1
    z.vindex[[0, 1], [2, 3]] = [7, 8]
    z.vindex[z[:] == 7] = 1
    z.blocks[0, 1] = z.blocks[1:2, 0]
    picked = z.get_basic_selection((0, 0)) + z.get_basic_selection()[0, 0]
    out = np.empty((4, 6), "i4")
    same: npt.NDArray[np.int32] = z.get_basic_selection(out=np.empty((4, 6), np.int32))
    z.get_orthogonal_selection(([0], slice(2)), out=out[:1, :2]).sum()
    z.set_coordinate_selection(([0], [1]), 4)
    z.set_mask_selection(np.ones((4, 6), bool), 1)
    for region in z.iter_chunks(shards=False):
        z[region] = z[region] + 1
    rows = [row.max() for row in z]
    times = zarr.array(np.array(["2020-01-01"], "M8[D]"))
    times[0] = datetime.datetime(2021, 1, 1)  # noqa: DTZ001  (NumPy's times have no zone)
    records = zarr.zeros(3, dtype=[("a", "i4"), ("b", "f8")])
    records["a"] = 1
    records[0, "b"] = records["a"][0]
    records[["a", "b"]]["a"].sum()
    records.get_basic_selection(slice(2), fields=["a"])
    texts = zarr.create_array({}, shape=2, dtype="string")
    texts[0] = "a"
    texts[1] = None
    texts[:] = ["x", None]
    single = zarr.array(5)
    number += single[()]
    use(mean, row, number, picked, same, rows)


def properties() -> None:
    """Use the properties and the verbs of an array."""
    z = zarr.zeros((4, 6), chunks=(2, 3), dtype="i4")
    y, x = z.shape
    chunks: tuple[int, ...] = z.shards or z.chunks
    order: Order = z.order
    z.resize(8, 6)
    z.resize((4, 6))
    z.resize([4, np.int64(6)])
    z.shape = (5, 6)
    shape = z.append(np.zeros((1, 6)), axis=0)
    z.attrs["units"] = {"nested": [1, 2.5, None]}
    z.attrs.update(scale=1, offset=np.float32(2))
    z.attrs.update({"title": "a"})
    z.attrs.put({})
    z.update_attributes({"a": 1}).refresh()
    view = z.astype("f8").view() if z.is_view else z.view(dtype="u4")
    use(z.with_config({"order": "F"})[:].flags)
    stored: int = z.nbytes_stored + z.nbytes_stored()
    use(y + x, chunks, order, shape, view.ndim, z.info, z.hexdigest(), stored, np.asarray(z))


def groups(store: StoreLike, mode: Mode = "a", zarr_format: ZarrFormat = 3) -> None:
    """Use groups and their members."""
    root = zarr.open_group(store, mode=mode, zarr_format=zarr_format, attributes={"a": 1})
    sub = root.create_group("sub", attributes={"b": 2})
    options: ArrayOptions = {"shape": (3,), "dtype": "i4", "chunks": 2}
    root.create_array("x", **options)
    root.create_array("a/y", data=[1, 2], overwrite=True, attributes={"t": 1})
    root.create_dataset("z", (3,), "f4", maxshape=(None,), compression="gzip")
    root.require_dataset("z", shape=(3,), dtype="f4", exact=True)
    root.require_array("z", shape=3, dtype="f4").append([1.0])
    root.require_group("sub").create_groups("p", "q")
    root.zeros("n", (3,), dtype="i4")
    root.full("m", 7, 3, dtype="i4")
    root.array("k", [1, 2], chunks=1)
    root.zeros_like("kk", np.arange(4), dtype="u1")
    root["b"] = [1, 2, 3]
    root["c"] = root.get_array("b")
    sub["d"] = np.arange(4)
    member = root["b"]
    if isinstance(member, zarr.Array):
        member[:] = member[:] * 2
    total = root.get_array("b")[:].sum() + root.get_group("sub").get_array("d")[0]
    found = root.get("missing")
    number = root.get("missing", 5)
    if found is not None and number != 5:
        use(found.name, found.attrs["a"], found.path)
    for name, array in root.arrays():
        use(name, array.shape, array[...].max())
    for name, group in root.groups():
        use(name, len(group), list(group.keys()))
    for path, node in root.members(max_depth=None):
        use(path, node.name)
    root.visititems(lambda path, node: None)
    use(root.visit(lambda path: path if path == "x" else None))
    root.move("b", "e")
    del root["e"]
    use(root.tree(), root.info, "x" in root, total, len(root), root.read_only)
    assert root.store_path == StorePath(root.store, "")


def functions(folder: str, data: ArrayLike, index: Index) -> None:
    """Use the functions of the package."""
    objects = zarr.create_array(Objects(), name="a", shape=4, dtype="u1")
    use(objects[:], ObjectStore(Objects()).read_only)
    zarr.save(folder + "/saved", data, other=[1, 2])
    zarr.save_array(folder + "/one", np.arange(3), chunks=2, zarr_format=2)
    zarr.save_group({}, np.arange(3), b=[1.0])
    loaded = zarr.load(folder + "/one")
    use(loaded.mean(), loaded[index])
    store = MemoryStore()
    root = zarr.group(store)
    root["a"] = [1, 2]
    dest = zarr.create_group({}, attributes={"x": 1})
    copied, skipped, size = zarr.copy(root["a"], dest, if_exists="replace", log=use)
    made = zarr.create_hierarchy(
        store={}, nodes={"a": root.layout, "a/b": {"zarr_format": 3, "node_type": "group"}}
    )
    use(dict(made), DateTime64(unit="s", scale_factor=10).numpy)
    report = zarr.copy_all(root, dest, on_error="skip", if_exists="skip", progress=False)
    zarr.copy_store(store, MemoryStore(), excludes=["b"], if_exists="skip")
    zarr.consolidate_metadata(store)
    use(zarr.open_consolidated(store, mode="r")["a"], report.left_out, copied, skipped, size)
    use(zarr.tree(root), storage.contains_array(store, "a"), codecs.parse("zstd"))
    with zarr.config.set({"array.order": "F"}), root.store:
        use(zarr.config["array.order"])
    try:
        zarr.open_array(store, mode="r", path="missing")
    except (errors.ArrayNotFoundError, zarr.MetadataError) as error:
        use(error)
    locks = zarr.ThreadSynchronizer()
    zarr.open_group(folder + "/locked", synchronizer=locks).create_group("x")
    use(zarr.DirectoryStore(folder, dimension_separator="/").path)


async def awaited(store: MemoryStore) -> None:
    """Await the same verbs."""
    root: zarr.Group = await zarr.open_group_async(store, "a", attributes={"x": 1})
    z: zarr.Array = await root.create_array_async("a", shape=(4,), chunks=(2,), dtype="f4")
    await z.setitem_async(slice(1, None), [1, 2, 3])
    whole: npt.NDArray[Any] = await z.getitem_async(...)
    parts = await asyncio.gather(z.getitem_async(0), z.get_mask_selection_async(whole > 1))
    shape: tuple[int, ...] = await z.append_async([1.5])
    await z.resize_async(3)
    names: list[str] = await root.keys_async()
    nodes = [node.path for _, node in await root.members_async(max_depth=None)]
    use(
        parts,
        shape,
        names,
        nodes,
        await (await root.getitem_async("a")).update_attributes_async({}),
    )
    made: zarr.Array = await zarr.create_array_async(store, name="b", data=[1, 2], chunks=1)
    again: zarr.Array = await zarr.open_array_async(store, "r", path="b")
    use(made, again, await zarr.open_async(store, path="b"))


def main(folder: str) -> None:
    """Run all of the above."""
    arrays(folder + "/arrays")
    elements()
    properties()
    groups({})
    groups({}, "w", 2)
    functions(folder, [1, 2, 3], slice(1, None))
    asyncio.run(awaited(MemoryStore()))
