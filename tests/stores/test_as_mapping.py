"""The mapping interface of stores, which uses only the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fastzarr.stores.as_mapping import AsMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Verbs(AsMapping):
    """The verbs of a store, implemented with a dict, and nothing else."""

    set_many = None

    def __init__(self, **values: bytes) -> None:
        self.held, self.locked = dict(values), False

    def get(self, key: str, default: Any = None) -> Any:
        return self.held.get(key, default)

    def get_many(self, keys: Iterable[str]) -> Any:
        return [self.held.get(key) for key in keys]

    def exists(self, key: str) -> bool:
        return key in self.held

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(self._list(prefix)))

    def list_dir(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted({key.partition("/")[0] for key in self._list(prefix)}))

    def set(self, key: str, value: Any) -> None:
        self._check_write(key)
        self.held[key] = bytes(value)

    def delete(self, key: str) -> None:
        self._check_write(key)
        self.held.pop(key, None)

    def delete_dir(self, prefix: str) -> None:
        for key in [*self._list(prefix)]:
            self.delete(key)

    def move(self, source: str, target: str) -> None:
        self.held[target] = self.held.pop(source)

    def _list(self, prefix: str) -> Iterable[str]:
        return [key for key in self.held if key.startswith(prefix)]

    def _check_write(self, *keys: str) -> None:
        if self.locked:
            raise PermissionError(*keys)


def test_a_mapping_is_made_of_the_verbs() -> None:
    mapping = Verbs(b=b"2", a=b"1")
    assert [*mapping.items()] == [("a", b"1"), ("b", b"2")]
    assert (len(mapping), "a" in mapping, "c" in mapping, 1 in mapping) == (2, True, False, False)
    mapping["c"] = b"3"
    del mapping["a"]
    assert mapping.pop("b") == b"2"
    mapping.update({"d": b"4"})
    assert dict(mapping) == {"c": b"3", "d": b"4"}
    assert bool(Verbs())


@pytest.mark.parametrize("locked", [False, True])
def test_a_missing_key_is_a_key_error_where_it_may_be_deleted(locked: bool) -> None:
    mapping = Verbs()
    mapping.locked = locked
    with pytest.raises(KeyError, match="a"):
        mapping["a"]
    with pytest.raises(PermissionError if locked else KeyError):
        del mapping["a"]


def test_the_names_of_zarr_python_2() -> None:
    mapping = Verbs(**{"a/x": b"1", "a/y": b"2", "b": b"3"})
    assert mapping.listdir() == ["a", "b"]
    assert mapping.getitems(["b", "c"], contexts=object()) == {"b": b"3"}
    mapping.rename("b", "c")
    mapping.rmdir("a/")
    mapping.setitems({"d": b"4", "e": bytearray(b"5")})
    mapping.delitems(["d", "missing"])
    assert mapping.held == {"c": b"3", "e": b"5"}
    assert mapping.is_readable()
    assert mapping.is_listable()
    for locked in (False, True):
        mapping.read_only = locked
        assert mapping.is_writeable() is mapping.is_erasable() is not locked


def test_many_are_set_at_once_by_a_store_that_can() -> None:
    mapping: Any = Verbs()
    given: list[Any] = []
    mapping.set_many = lambda values: given.append([*values])
    mapping.setitems({"a": b"1"})
    mapping.delitems(["b"])
    assert given == [[("a", b"1")], [("b", None)]]
    assert mapping.held == {}


def test_a_class_without_a_verb_cannot_be_used() -> None:
    class Less(AsMapping):
        pass

    with pytest.raises(TypeError, match="delete_dir"):
        Less()  # type: ignore[abstract]
