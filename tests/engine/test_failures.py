"""The errors of chunks, which are also those of the store that failed."""

from __future__ import annotations

import pickle
from typing import Self

import pytest

import fastzarr as zarr
from fastzarr.errors import ChunkError, ChunkIOError
from fastzarr.stores import MemoryStore


class CloudError(Exception):
    """An error of another library, with arguments and attributes of its own."""

    def __init__(self, status: int, url: str) -> None:
        super().__init__(f"{status} from {url}")
        self.status = status


class DeniedError(PermissionError):
    """An error of another library that is an OSError."""


class StrictError(Exception):
    """An error that checks its arguments when it is made, as those of Icechunk do."""

    def __new__(cls, text: str, kind: str = "") -> Self:
        return super().__new__(cls, text, kind)

    @property
    def message(self) -> str:
        """What has gone wrong, which cannot be set."""
        return str(self.args[0])


class Failing(MemoryStore):
    error: Exception | None = None

    def _get(self, key):
        if self.error is not None and "c/" in key:
            raise self.error
        return super()._get(key)

    get_valid = _get


@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize(
    "error",
    [CloudError(503, "x"), DeniedError(13, "no"), KeyError("k"), StrictError("gone", "chunk")],
)
def test_the_error_of_a_store_is_caught_by_its_own_class(error):
    store = Failing()
    z = zarr.create_array(store, data=[1, 2, 3])
    store.error = error
    with pytest.raises(ChunkError, match=r"key 'c/0', stage fetch: ") as caught:
        z[:]
    assert caught.value.__cause__ is error
    if not isinstance(error, KeyError):
        assert isinstance(caught.value, type(error))
    assert isinstance(caught.value, ChunkIOError) is isinstance(error, OSError)
    assert getattr(caught.value, "status", None) == getattr(error, "status", None)
    assert (caught.value.key, caught.value.chunk) == ("c/0", (0,))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert type(again) is type(caught.value)
    assert again.chunk == (0,)
