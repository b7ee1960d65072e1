"""A reader for the viewer napari, which reads what it shows.

Rules of this file:

* napari finds it by its manifest, ``napari.yaml``. napari itself is not imported.
* A layer holds arrays of this package as they are: it slices them for each view. A channel is a
  view of one index of an array, because napari would read the whole of it to split it.
* Images of OME-NGFF (0.4 and 0.5) have their resolutions, scales, channels and labels; in any other
  group each array of numbers is an image.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.api.open import open
from fastzarr.errors import BaseZarrError
from fastzarr.nodes.array import Array
from fastzarr.nodes.group import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Layer = tuple[Any, dict[str, Any], str]

__all__ = ["Channel", "napari_get_reader", "read_layers"]


class Channel:
    """One index along an axis of an array, read when it is sliced.

    >>> import fastzarr
    >>> z = fastzarr.create_array({}, data=[[1, 2, 3], [4, 5, 6]])
    >>> channel = Channel(z, 0, 1)
    >>> channel.shape, channel[1:]
    ((3,), array([5, 6]))
    """

    def __init__(self, array: Array, axis: int, index: int) -> None:
        """Initialise with an array, and which of its elements the channel has."""
        self.array, self.axis, self.index = array, axis, index
        self.dtype = array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each of the other axes."""
        return self.array.shape[: self.axis] + self.array.shape[self.axis + 1 :]

    @property
    def ndim(self) -> int:
        """The number of the other axes."""
        return self.array.ndim - 1

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of elements along the first axis."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Return the selected elements."""
        given = index if isinstance(index, tuple) else (index,)
        if Ellipsis in [one for one in given if not isinstance(one, np.ndarray)]:
            at = given.index(Ellipsis)
            rest = (slice(None),) * (self.ndim - len(given) + 1)
            given = given[:at] + rest + given[at + 1 :]
        given += (slice(None),) * (self.ndim - len(given))
        return self.array[(*given[: self.axis], self.index, *given[self.axis :])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return all elements."""
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        """Return the array and the index."""
        return f"<Channel {self.index} along axis {self.axis} of {self.array}>"


def napari_get_reader(path: str | Sequence[str]) -> Callable[[Any], list[Layer]] | None:
    """Return ``read_layers`` for a path of a node, and None for anything else.

    >>> import tempfile, fastzarr
    >>> root = fastzarr.open_group(folder := tempfile.mkdtemp())
    >>> napari_get_reader(folder) is read_layers, napari_get_reader("a.png") is None
    (True, True)
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    for each in paths:
        try:
            open(each, "r")
        except (BaseZarrError, OSError, ValueError):
            return None
    return read_layers if paths else None


def read_layers(path: str | Sequence[str]) -> list[Layer]:
    """Return the layers of a node, or of several: the data, how to show it, and its kind.

    >>> import fastzarr
    >>> root = fastzarr.create_group(store := {})
    >>> root["cells"] = [[1, 2], [3, 4]]
    >>> [(data, how, kind)] = read_layers(store)
    >>> data[0], how["name"], kind
    (array([1, 2]), 'cells', 'image')
    """
    many = isinstance(path, list | tuple)
    paths: list[Any] = list(path) if many else [path]
    layers: list[Layer] = []
    for each in paths:
        node = open(each, "r")
        # The root of a store has no name, but its path does.
        name = Path(each).name if isinstance(each, str) else ""
        layers += [_image(node, name)] if isinstance(node, Array) else _of_group(node)
    return layers


def _image(array: Array, name: str = "") -> Layer:
    return array, {"name": array.basename or name or "array"}, "image"


def _of_group(group: Group) -> list[Layer]:
    found = _multiscales(group)
    if found:
        layers = [layer for each in found for layer in _of_multiscale(group, each)]
        labels = group.get("labels")
        for name in _ome(labels).get("labels", []) if isinstance(labels, Group) else []:
            part = labels.get(name) if isinstance(labels, Group) else None
            if isinstance(part, Group):
                for each in _multiscales(part):
                    layers += _of_multiscale(part, each, labels=str(name))
        return layers
    layers = [
        _image(array)
        for _, array in group.arrays()
        if array.dtype.kind in "biufc" and array.ndim > 0
    ]
    return layers + [layer for _, below in group.groups() for layer in _of_group(below)]


def _ome(group: Group) -> Mapping[str, Any]:
    """Return the metadata of OME-NGFF, which has a name of its own since 0.5."""
    attributes = group.attrs.asdict()
    found = attributes.get("ome")
    return found if isinstance(found, dict) else attributes


def _multiscales(group: Group) -> list[Mapping[str, Any]]:
    found = _ome(group).get("multiscales")
    given = found if isinstance(found, list) else []
    return [each for each in given if isinstance(each, dict) and each.get("datasets")]


def _of_multiscale(
    group: Group, described: Mapping[str, Any], labels: str | None = None
) -> Iterator[Layer]:
    """Iterate over the layers of an image: one, or one for each channel."""
    datasets = described["datasets"]
    arrays = [group.get_array(str(each["path"])) for each in datasets]
    axes = [
        str(each.get("type", "")) for each in described.get("axes", []) if isinstance(each, dict)
    ]
    scale = _scale(datasets[0], arrays[0].ndim)
    name = labels or str(described.get("name") or group.basename or "image")
    kind = "image" if labels is None else "labels"
    if "channel" not in axes or labels is not None:
        yield _levels(arrays), {"name": name, "scale": scale}, kind
        return
    axis = axes.index("channel")
    omero = _ome(group).get("omero")
    known = omero.get("channels", []) if isinstance(omero, dict) else []
    for index in range(arrays[0].shape[axis]):
        channel = known[index] if index < len(known) and isinstance(known[index], dict) else {}
        how: dict[str, Any] = {
            "name": str(channel.get("label") or f"{name} {index}"),
            "scale": scale[:axis] + scale[axis + 1 :],
            "blending": "additive",
        }
        window = channel.get("window")
        if isinstance(window, dict) and "start" in window and "end" in window:
            how["contrast_limits"] = (window["start"], window["end"])
        if isinstance(channel.get("color"), str):
            how["colormap"] = "#" + channel["color"].lstrip("#")
        yield _levels([Channel(array, axis, index) for array in arrays]), how, kind


def _levels(arrays: list[Any]) -> Any:
    return arrays if len(arrays) > 1 else arrays[0]


def _scale(dataset: Mapping[str, Any], ndim: int) -> list[float]:
    for each in dataset.get("coordinateTransformations", []):
        if each.get("type") == "scale" and len(each.get("scale", [])) == ndim:
            return [float(size) for size in each["scale"]]
    return [1.0] * ndim
