"""The reader for napari, which is not needed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastzarr
from fastzarr.integrations import napari

IMAGE = np.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)


def image(root: fastzarr.Group, *, newer: bool) -> None:
    scales = [[1.0, 1.0, 0.5, 0.25], [1.0, 1.0, 1.0, 0.5]]
    multiscale = {
        "name": "cells",
        "axes": [
            {"name": "t", "type": "time"},
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space"},
            {"name": "x", "type": "space"},
        ],
        "datasets": [
            {"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
            for i, scale in enumerate(scales)
        ],
    }
    channel = {"label": "DAPI", "color": "00FF00", "window": {"start": 1, "end": 9}}
    about = {"multiscales": [multiscale], "omero": {"channels": [channel]}}
    root.attrs.update({"ome": about} if newer else about)
    root.create_array("0", data=IMAGE, chunks=(1, 1, 2, 3))
    root.create_array("1", data=IMAGE[..., ::2, ::2], chunks=(1, 1, 2, 3))


@pytest.mark.parametrize("newer", [False, True])
def test_an_image_has_a_layer_for_each_channel(newer: bool, tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3 if newer else 2)
    image(root, newer=newer)
    below = root.create_group("labels/nuclei")
    about: dict[str, Any] = {"multiscales": [{"datasets": [{"path": "0"}]}]}
    below.attrs.update({"ome": about} if newer else about)
    root["labels"].attrs.update(
        {"ome": {"labels": ["nuclei"]}} if newer else {"labels": ["nuclei"]}
    )
    below["0"] = IMAGE[:, 0]
    read = napari.napari_get_reader(str(tmp_path / "a.zarr"))
    assert read is not None
    layers = read(str(tmp_path / "a.zarr"))
    assert [how["name"] for _, how, _ in layers] == ["DAPI", "cells 1", "cells 2", "nuclei"]
    assert [kind for _, _, kind in layers] == ["image"] * 3 + ["labels"]
    levels, how, _ = layers[0]
    assert how["scale"] == [1.0, 0.5, 0.25]
    assert (how["colormap"], how["contrast_limits"]) == ("#00FF00", (1, 9))
    for level, expected in zip(levels, (IMAGE[:, 0], IMAGE[:, 0, ::2, ::2]), strict=True):
        assert (level.shape, level.ndim, level.size) == (expected.shape, 3, expected.size)
        assert level.dtype == expected.dtype
        np.testing.assert_array_equal(np.asarray(level), expected)
        for index in (1, (0, slice(1, 3)), (..., 0), (slice(None), 1, ...), (slice(0, 0),)):
            np.testing.assert_array_equal(level[index], expected[index])
    np.testing.assert_array_equal(layers[3][0][:], IMAGE[:, 0])


def test_only_the_chunks_of_a_view_are_read() -> None:
    asked: list[str] = []

    class Watched(fastzarr.MemoryStore):
        def _get(self, key: str) -> bytes | None:
            asked.append(key)
            return super()._get(key)

    image(fastzarr.open_group(store := Watched(), mode="w"), newer=True)
    levels, _, _ = napari.read_layers(store)[2]
    asked.clear()
    levels[0][1, 0:2, 0:3]
    assert asked == ["0/c/1/2/0/0"]


def test_arrays_of_other_groups_are_images(tmp_path: Path) -> None:
    root = fastzarr.open_group(tmp_path / "a.zarr")
    root["a"], root["deep/b"], root["names"] = [[1, 2]], [[3.0]], np.array(["x"])
    layers = napari.read_layers([str(tmp_path / "a.zarr"), str(tmp_path / "a.zarr/a")])
    assert [how["name"] for _, how, _ in layers] == ["a", "b", "a"]
    assert isinstance(layers[0][0], fastzarr.Array)


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert napari.napari_get_reader(str(tmp_path / "a.txt")) is None
    assert napari.napari_get_reader(str(tmp_path)) is None
    assert napari.napari_get_reader([]) is None


def test_the_manifest_names_the_reader() -> None:
    text = (Path(napari.__file__).parent / "napari.yaml").read_text()
    assert "python_name: fastzarr.integrations.napari:napari_get_reader" in text
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'fastzarr = "fastzarr.integrations:napari.yaml"' in project
