"""Numbers that are stored as integers by ``to_fastzarr`` fit, or nothing is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import fastzarr
from fastzarr.integrations.xarray import FastzarrBackendEntrypoint, to_fastzarr

# xarray warns of all floating-point numbers that become integers.
pytestmark = pytest.mark.filterwarnings("ignore:saving variable:xarray.SerializationWarning")
SCALED = {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1}


def dataset(values: Any) -> xr.Dataset:
    return xr.Dataset({"level": ("x", np.asarray(values))})


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(
    ("stored", "given", "value", "dtype"),
    [
        (np.array([1, 2], "i2"), [3, 70000], "70000", "int16"),
        (np.array([1, 2], "u1"), [3, -1], "-1", "uint8"),
        (np.array([1, 2], "i8"), np.array([3, 2**63], "u8"), str(2**63), "int64"),
        (np.array([1, 2], "i4"), [3.0, 3e9], "3000000000.0", "int32"),
        (np.array([1, 2], "i4"), [3.0, np.nan], "NaN", "int32"),
        (np.array([1, 2], "i4"), [3.0, -np.inf], "-inf", "int32"),
    ],
)
def test_elements_that_do_not_fit_are_neither_appended_nor_written(
    stored, given, value, dtype, blocks
) -> None:
    group = to_fastzarr(dataset(stored), store := {})
    more = dataset(given).chunk(x=1) if blocks else dataset(given)
    words: list[dict[str, Any]] = [{"append_dim": "x"}, {"region": {"x": slice(0, 2)}}]
    for where in words if not blocks else words[:1]:
        with pytest.raises(
            ValueError, match=f"variable 'level': {value} does not fit into {dtype}"
        ):
            to_fastzarr(more, store, **where)
        np.testing.assert_array_equal(group["level"].refresh()[:], stored)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(
    ("given", "encoding", "value"),
    [
        ([1, 300], {"dtype": "u1"}, "300 does not fit into uint8"),
        ([1, np.nan], {"dtype": "u1"}, "NaN does not fit into uint8"),
        (
            [1, 5000.0],
            SCALED,
            "5000.0 does not fit into int16 with scale_factor 0.1 and add_offset",
        ),
    ],
)
def test_encoding_with_a_dtype_that_is_too_small_is_an_error(
    given, encoding, value, blocks
) -> None:
    to_fastzarr(dataset([7]), store := {})
    new = dataset(given).chunk(x=1) if blocks else dataset(given)
    with pytest.raises(ValueError, match=f"variable 'level': {value}"):
        to_fastzarr(new, store, "w", encoding={"level": encoding})
    if not blocks:
        np.testing.assert_array_equal(fastzarr.open_group(store)["level"][:], [7])


def test_missing_elements_are_stored_as_the_number_that_stands_for_them() -> None:
    values = [1.5, np.nan, 3276.7]
    to_fastzarr(dataset(values), store := {}, encoding={"level": SCALED})
    to_fastzarr(dataset([np.nan]).chunk(x=1), store, append_dim="x")
    found = xr.open_dataset(store, engine=FastzarrBackendEntrypoint)
    np.testing.assert_allclose(found.level.values, [*values, np.nan])


DTYPES = st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
SCALES = st.none() | st.sampled_from([0.1, 2.0, -3.0, np.float32(0.01)])
OFFSETS = st.none() | st.sampled_from([0.0, -100.0, 1e4])


@st.composite
def numbers(draw: Any) -> np.ndarray:
    if draw(st.booleans()):
        dtype = np.dtype(draw(DTYPES))
        info = np.iinfo(dtype)
        near = [x for x in (-129, -1, 0, 127, 128, 255, 256, 32768) if info.min <= x <= info.max]
        values = st.sampled_from([*near, int(info.min), int(info.max)])
    else:
        dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
        values = st.floats(-70000, 70000, width=32) | st.sampled_from([127.4, 127.6, np.nan])
    return np.array(draw(st.lists(values, max_size=4)), dtype)


@given(numbers(), DTYPES, SCALES, OFFSETS, st.booleans())
def test_what_is_stored_is_what_wider_integers_would_be(
    values, dtype, scale, offset, fills
) -> None:
    words: dict[str, Any] = {"scale_factor": scale, "add_offset": offset}
    # With a fill value, xarray itself does not scale integers.
    words = {
        name: value
        for name, value in words.items()
        if value is not None and values.dtype.kind == "f"
    }
    scale, offset = words.get("scale_factor"), words.get("add_offset")
    if fills:
        words["_FillValue"] = 5
    plain = not words or not {"scale_factor", "add_offset"} & words.keys()
    wide = values if plain else (values.astype("f8") - (offset or 0)) / (scale or 1)
    if fills and wide.dtype.kind == "f":
        wide = np.where(np.isnan(wide), 5, wide)
    # Exact: Python's integers have any size, and round as NumPy does.
    exact = [None if not np.isfinite(one) else round(one.item()) for one in wide]
    info = np.iinfo(dtype)
    fit = all(one is not None and info.min <= one <= info.max for one in exact)
    edge = not plain and any(
        one is not None
        and min(abs(one - int(info.min)), abs(one - int(info.max))) <= 1 + abs(one) / 1e6
        for one in exact
    )
    group, error = None, ""
    try:
        group = to_fastzarr(dataset(values), {}, encoding={"level": {"dtype": dtype, **words}})
    except ValueError as raised:
        error = str(raised)
    if not edge:
        assert fit == (group is not None)
    if group is None:
        assert "does not fit" in error
        return
    found = group["level"][:]
    assert found.dtype == np.dtype(dtype)
    if not edge:
        tolerance = 0 if plain else 1 + np.abs(found.astype("f8")) / 1e6
        difference = np.abs([int(a) - b for a, b in zip(found, exact, strict=True)])
        assert np.all(difference <= tolerance)
