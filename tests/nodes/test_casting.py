"""Assignment casts and broadcasts as in NumPy."""

from __future__ import annotations

import warnings
from typing import Any

import numcodecs
import numpy as np
import pytest

import fastzarr
from fastzarr.nodes import casting

pytestmark = pytest.mark.usefixtures("data_path")

DTYPES = ["?", "i1", "u1", "i4", "u8", "f2", "f4", "f8", "c8", "S3", "U2", "M8[s]", "m8[ms]", ">i4"]
VALUES: list[Any] = [
    0,
    -1,
    300,
    2**40,
    2**70,
    1.5,
    -0.0,
    float("nan"),
    float("inf"),
    1 + 2j,
    True,
    "5",
    "text",
    b"bytes",
    None,
    [1, 2, 3],
    [300, 1, 2],
    [1.5, float("nan"), 2.0],
    ["a", "bcd", "efghi"],
    np.int64(300),
    np.float64(1e300),
    np.array([1, 2, 300]),
    np.array([1.5, np.nan, -3]),
    np.array([1 + 1j, 2, 3]),
    np.array(["1", "2", "3"]),
    np.array(["2020-01-01", "NaT", "1970-01-01"], "M8[D]"),
    np.datetime64("2020-01-01"),
    np.array([1, None, "x"], dtype=object),
]


def _assign(target: Any, value: Any) -> tuple[type[BaseException] | None, set[type[Warning]]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            target[...] = value
        except Exception as error:  # noqa: BLE001  (compared with the exception of NumPy)
            return type(error), {w.category for w in seen}
        return None, {w.category for w in seen}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}-{str(v)[:12]}")
def test_assignment_gives_numpys_result_error_and_warning(dtype: str, value: Any) -> None:
    expected = np.zeros(3, dtype)
    z = fastzarr.zeros(3, dtype=dtype, chunks=2, zarr_format=2)
    theirs, ours = _assign(expected, value), _assign(z, value)
    assert ours == theirs
    if theirs[0] is None:
        result = z[:]
        assert result.dtype == expected.dtype
        assert result.tobytes() == expected.tobytes()
    else:
        assert z[:].tobytes() == np.zeros(3, dtype).tobytes()


@pytest.mark.parametrize(
    ("value_shape", "shape"),
    [((8,), (2, 8)), ((1, 1, 8), (2, 8)), ((2, 1), (2, 8)), ((), (2, 8)), ((1,), (2, 8))],
)
def test_values_broadcast_as_numpy_broadcasts(
    value_shape: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    value = np.arange(int(np.prod(value_shape))).reshape(value_shape) + 1
    expected = np.zeros(shape, int)
    expected[...] = value
    z = fastzarr.zeros(shape, dtype=int, chunks=3)
    z[...] = value
    np.testing.assert_array_equal(z[...], expected)


@pytest.mark.parametrize("count", [2, 6, 9, 0])
def test_a_value_that_does_not_fit_raises_and_changes_nothing(count: int) -> None:
    z = fastzarr.zeros(10, dtype=int, chunks=3)
    with pytest.raises(ValueError, match=rf"could not broadcast .* \({count},\) into shape \(8,\)"):
        z[2:10] = np.ones(count)
    assert not z[:].any()


@pytest.mark.parametrize(("rule", "good", "bad"), [("same_kind", "f4", "c8"), ("safe", "i1", "f8")])
def test_config_asks_for_stricter_casting(rule: str, good: str, bad: str) -> None:
    z = fastzarr.zeros(3, dtype="f4")
    with fastzarr.config.set({"array.casting": rule}):
        z[:] = np.ones(3, good)
        with pytest.raises(TypeError, match=rf"{bad if bad != 'c8' else 'complex64'}|float64"):
            z[:] = np.zeros(3, bad)
    np.testing.assert_array_equal(z[:], np.ones(3))


def test_none_among_strings_is_the_empty_string() -> None:
    result = casting.cast(["a", None], np.dtypes.StringDType())
    assert result.tolist() == ["a", ""]


def test_a_dask_like_object_is_asked_for_its_array() -> None:
    class Lazy:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            del dtype, copy
            return np.array([1, 2, 3])

    z = fastzarr.zeros(3, dtype="i2")
    z[:] = Lazy()
    assert z[:].tolist() == [1, 2, 3]


def test_field_dtype_names_the_field_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="unknown field 'c'; its fields are a, b"):
        casting.field_dtype(np.dtype([("a", "i1"), ("b", "f4")]), "c")


def test_missing_values_of_a_string_type_become_empty_strings() -> None:
    for marker in (None, np.nan, "lost"):
        given = np.array(["a", marker], np.dtypes.StringDType(na_object=marker))
        # NumPy does not tell a marker that is text from that text, which must not be lost.
        wanted = "lost" if marker == "lost" else ""
        assert casting.cast(given, np.dtypes.StringDType()).tolist() == ["a", wanted]


def test_one_object_is_stored_as_it_is() -> None:
    ragged = fastzarr.empty(2, dtype=object, object_codec=numcodecs.VLenArray(int))
    ragged[0] = np.array([1, 2, 3])
    assert ragged[0].tolist() == [1, 2, 3]
    notes = fastzarr.empty(3, dtype=object, object_codec=numcodecs.JSON())
    notes[0], notes[1], notes[2] = [1, 2], {"a": 1}, np.array("text", dtype=object)
    assert notes[:].tolist() == [[1, 2], {"a": 1}, "text"]


@pytest.mark.parametrize("dtype", [object, "U3"])
def test_text_that_utf_8_cannot_encode_is_named(dtype: Any) -> None:
    z = fastzarr.create(4, chunks=1, dtype=str)
    for value, name in (
        (np.array(["a", "b", "\ud800", "d"], dtype), r"element \(2,\) of the value"),
        (np.array("\ud800", dtype), "^the value"),
    ):
        with pytest.raises(ValueError, match=rf"{name}, '\\ud800', has a lone surrogate"):
            z[:] = value
    assert z[:].tolist() == [""] * 4
    assert z.nchunks_initialized == 0


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ({"dtype": bytes}, [b"a", b"b", 1.5, b"d"]),
        ({"dtype": object, "object_codec": numcodecs.JSON()}, [1, 2, {3}, 4]),
        ({"dtype": object, "object_codec": numcodecs.VLenArray("i4")}, [[1], [2], "x", [3]]),
        ({"dtype": str}, ["a", "b", "\ud800", "d"]),
    ],
)
def test_appended_elements_are_checked_before_any_is_written(
    words: dict[str, Any], value: list[Any]
) -> None:
    z = fastzarr.create(4, chunks=1, **words)
    before = sorted(z.store)
    given = np.empty(4, object)
    given[:] = value
    with pytest.raises((TypeError, ValueError), match=r"element \(2,\) of the value"):
        z.append(given)
    assert z.shape == (4,)
    assert sorted(z.store) == before
