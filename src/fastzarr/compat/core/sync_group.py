"""The functions that create many nodes at once, and that find one, as plain calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.compat.core.group import (
    _parse_async_node,
    created_hierarchy,
    created_nodes,
    created_root,
    found_node,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastzarr.compat.abc.store import Store

__all__ = ["create_hierarchy", "create_nodes", "create_rooted_hierarchy", "get_node"]


def create_nodes(*, store: Store, nodes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Create nodes from their metadata, by path, and yield them; groups above may be missing."""
    for path, node in created_nodes(store, nodes):
        yield path, _parse_async_node(node)


def create_hierarchy(
    *, store: Store, nodes: dict[str, Any], overwrite: bool = False
) -> Iterator[tuple[str, Any]]:
    """Create nodes from their metadata, by path, and the groups above them that are missing."""
    for path, node in created_hierarchy(store, nodes, overwrite=overwrite):
        yield path, _parse_async_node(node)


def create_rooted_hierarchy(*, store: Store, nodes: dict[str, Any], overwrite: bool = False) -> Any:
    """Create nodes of which one is above all others, and return that one."""
    return _parse_async_node(created_root(store, nodes, overwrite=overwrite))


def get_node(store: Store, path: str, zarr_format: Any) -> Any:
    """Return the array or group of a format at a path; raise FileNotFoundError if there is none."""
    return _parse_async_node(found_node(store, path, zarr_format))
