"""The engine ``fastzarr`` of xarray.

Rules of this file:

* Whatever ``fastzarr.open_group`` opens can be opened, and a ``Group``.
* Consolidated metadata is used if it is there and current. A group without it is opened without a
  warning, because its documents are read at once.
* A path is only claimed, if no engine is named, when zarr-python is not there to open it as before.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from xarray import DataTree
from xarray.backends import BackendEntrypoint, StoreBackendEntrypoint

from fastzarr.api.open import open_group
from fastzarr.errors import GroupNotFoundError
from fastzarr.integrations.xarray.reading import GroupReader
from fastzarr.nodes.group import Group
from fastzarr.stores.base import Store
from fastzarr.stores.path import StorePath
from fastzarr.stores.resolve import as_store_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xarray import Dataset

_ENDS = (".zarr", ".zarr.zip", ".n5")
_ROOTS = ("", "/", None)


class FastzarrBackendEntrypoint(BackendEntrypoint):
    """Open groups of Zarr and N5 with fastzarr.

    >>> import xarray as xr
    >>> from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr
    >>> _ = to_fastzarr(xr.Dataset({"depth": ("x", [10, 20])}), store := {})
    >>> xr.open_dataset(store, engine=FastzarrBackendEntrypoint).depth.values
    array([10, 20])
    """

    description: ClassVar[str] = "Open groups of Zarr with fastzarr"
    supports_groups: ClassVar[bool] = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether to open something for which no engine was named.

        >>> from fastzarr.integrations.xarray import FastzarrBackendEntrypoint
        >>> from fastzarr.stores import MemoryStore
        >>> FastzarrBackendEntrypoint().guess_can_open(MemoryStore())
        True
        """
        if isinstance(filename_or_obj, Store | StorePath | Group):
            return True
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        path = os.fspath(filename_or_obj)
        path = (path.decode() if isinstance(path, bytes) else path).rstrip("/")
        return path.endswith(_ENDS) and (not path.endswith(".zarr") or find_spec("zarr") is None)

    def open_dataset(  # noqa: PLR0913  (the signature of xarray's engine)
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Any = True,
        decode_times: Any = True,
        concat_characters: Any = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: bool | None = None,
        decode_timedelta: Any = None,
        group: str | None = None,
        consolidated: bool | None = None,
        storage_options: dict[str, Any] | None = None,
        zarr_format: Any = None,
        use_zarr_fill_value_as_mask: bool | None = None,
    ) -> Dataset:
        """Open a group as a dataset; ``xarray.open_dataset`` calls this method.

        ``consolidated`` is whether consolidated metadata must be there (True), is used if it is
        there (None), or is not looked for (False). In format 2, elements that equal the fill value
        are masked, unless ``use_zarr_fill_value_as_mask`` is False; in format 3 only if it is True.

        >>> import fastzarr
        >>> from fastzarr.integrations.xarray import FastzarrBackendEntrypoint
        >>> root = fastzarr.create_group({})
        >>> z = root.create_array("depth", data=[10, 20], dimension_names=["x"])
        >>> FastzarrBackendEntrypoint().open_dataset(root).sizes["x"]
        2
        """
        opened, owned = _open(filename_or_obj, group, consolidated, storage_options, zarr_format)
        return _decoded(
            GroupReader(
                opened,
                masks=use_zarr_fill_value_as_mask,
                without=_names(drop_variables),
                owned=owned,
            ),
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            concat_characters=concat_characters,
            decode_coords=decode_coords,
            drop_variables=drop_variables,
            use_cftime=use_cftime,
            decode_timedelta=decode_timedelta,
        )

    def open_datatree(self, filename_or_obj: Any, **kwargs: Any) -> DataTree:
        """Open a group and all groups below it; ``xarray.open_datatree`` calls this method.

        The keywords are those of ``open_dataset``.

        >>> import fastzarr
        >>> from fastzarr.integrations.xarray import FastzarrBackendEntrypoint
        >>> root = fastzarr.create_group({})
        >>> z = root.create_array("deep/x", data=[10, 20], dimension_names=["x"])
        >>> list(FastzarrBackendEntrypoint().open_datatree(root).children)
        ['deep']
        """
        datasets = self.open_groups_as_dict(filename_or_obj, **kwargs)
        try:
            tree = DataTree.from_dict(datasets)
        except Exception:
            for dataset in datasets.values():
                dataset.close()
            raise
        # The store is closed once, with the root.
        tree.set_close(datasets["/"].close)
        return tree

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        consolidated: bool | None = None,
        storage_options: dict[str, Any] | None = None,
        zarr_format: Any = None,
        use_zarr_fill_value_as_mask: bool | None = None,
        **decoding: Any,
    ) -> dict[str, Dataset]:
        """Open a group and all groups below it as datasets by path.

        >>> import fastzarr
        >>> from fastzarr.integrations.xarray import FastzarrBackendEntrypoint
        >>> root = fastzarr.create_group({})
        >>> z = root.create_array("deep/x", data=[10, 20], dimension_names=["x"])
        >>> list(FastzarrBackendEntrypoint().open_groups_as_dict(root))
        ['/', '/deep']
        """
        opened, owned = _open(filename_or_obj, group, consolidated, storage_options, zarr_format)
        readers = {
            path: GroupReader(
                found,
                masks=use_zarr_fill_value_as_mask,
                without=_names(drop_variables),
                owned=owned and path == "/",
            )
            for path, found in _groups(opened)
        }
        decoding["drop_variables"] = drop_variables
        return {path: _decoded(reader, **decoding) for path, reader in readers.items()}


# xarray sets it for engines that it finds by their entry points only.
FastzarrBackendEntrypoint.open_dataset_parameters = tuple(
    signature(FastzarrBackendEntrypoint.open_dataset).parameters
)[1:]


def _groups(root: Group) -> Iterator[tuple[str, Group]]:
    yield "/", root
    for path, node in root.members(max_depth=None):
        if isinstance(node, Group):
            yield f"/{path}", node


def _decoded(reader: GroupReader, **decoding: Any) -> Dataset:
    try:
        return StoreBackendEntrypoint().open_dataset(reader, **decoding)
    except Exception:
        reader.close()
        raise


def _names(given: str | Iterable[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    return frozenset([given] if isinstance(given, str) else given)


def _open(
    given: Any,
    path: str | None,
    consolidated: bool | None,
    storage_options: dict[str, Any] | None,
    zarr_format: Any,
) -> tuple[Group, bool]:
    """Return the group to read, and whether its store was opened for it."""
    if isinstance(given, Group):
        return (given if path in _ROOTS else given.get_group(str(path))), False
    if isinstance(given, str) and given.startswith("~"):
        given = os.path.expanduser(given)  # noqa: PTH111  (a user's text remains text)
    owned = not isinstance(given, Store | StorePath)
    place = as_store_path(given, mode="r", storage_options=storage_options)
    words: dict[str, Any] = {
        "mode": "r",
        "zarr_format": zarr_format,
        "use_consolidated": consolidated,
    }
    if path in _ROOTS:
        return open_group(place, **words), owned
    if consolidated is not False:
        # The metadata of all groups may be consolidated at the root, which need not exist.
        try:
            root = open_group(place, **words)
        except (GroupNotFoundError, ValueError):
            pass
        else:
            found = root.get(str(path).strip("/"))
            if isinstance(found, Group):
                return found, owned
    return open_group(place, path=path, **words), owned
