"""What tests of several stores behind a network share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.testing import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable

#: The arguments of a fault of the proxy, for failures that may pass.
PASSING: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429},
    "reset": {"kind": "reset"},
    "cut": {"kind": "cut"},
    "lost": {"kind": "lost"},
    "stall": {"kind": "stall"},
}

#: Verbs that read ``a``, whose value is ``12345678``: the method of the request, and a check.
READS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "get": ("GET", lambda store: store.get("a") == b"12345678"),
    "range": ("GET", lambda store: store.get_ranges("a", [(2, 3)]) == [b"345"]),
    "suffix": ("GET", lambda store: store.get_ranges("a", [(-2, None)]) == [b"78"]),
    "exists": ("HEAD", lambda store: store.exists("a")),
    "getsize": ("HEAD", lambda store: store.getsize("a") == 8),
}


class SuiteInSeaweed(StoreTests):
    """The suite of all stores, for a store in SeaweedFS.

    The server lists a folder for some time after its last object was deleted, which Amazon's does
    not. Only what a listing of names asserts is left out.
    """

    def test_is_empty(self, store: Any) -> None:
        """A store without keys is empty, also below a prefix."""
        assert store.is_empty()
        store.set("a/b", b"1")
        assert not store.is_empty()
        assert not store.is_empty("a")
        assert store.is_empty("a/b")
        store.delete("a/b")
        assert store.is_empty("a")
        assert list(store.list()) == []

    def test_move(self, store: Any) -> None:
        """Keys are moved with all that is below them."""
        for key in ("a/b", "a/c/d", "ab"):
            store.set(key, key.encode())
        store.move("a", "n/m")
        assert list(store.list()) == ["ab", "n/m/b", "n/m/c/d"]
        assert store.get("n/m/c/d") == b"a/c/d"
