"""The members of a group: their names, and their nodes as they are in the store."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastzarr import errors
from fastzarr.engine.requests import call_each
from fastzarr.metadata import parsed
from fastzarr.nodes.documents import BROKEN, documents_of, join
from fastzarr.nodes.implied import is_bare_folder
from fastzarr.stores.keys import METADATA_NAMES, validate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastzarr.metadata.format import Format
    from fastzarr.nodes.documents import Node
    from fastzarr.stores import Store

# The number of members requested together: enough for a slow store, but not so many that a caller
# who wants only the first ones has to wait for all.
_TOGETHER = 128


def children(
    store: Store,
    path: str,
    format: Format,
    names: list[str] | None = None,
    unknown: Callable[[str], None] | None = None,
) -> Iterator[tuple[str, Node]]:
    """Iterate over the names and nodes directly below a group, in the order of their names.

    ``names`` are the result of ``entries``, if it is known. A document is parsed when its node is
    reached. A node that cannot be read is left out, with a warning that names it. ``unknown`` is
    called with the path of each name that is no node.
    """
    names = entries(store, path) if names is None else names
    for start in range(0, len(names), _TOGETHER):
        paths = {join(path, name): name for name in names[start : start + _TOGETHER]}
        found = _readable(store, list(paths), format)
        for below, name in paths.items():
            try:
                if below in found:
                    each, documents = found[below]
                    node = parsed.parse(each, documents, below, store.dimension_separator)
                elif format.has_implied_groups and is_bare_folder(store, below):
                    node = format.implied_group()
                else:
                    if unknown is not None:
                        unknown(below)
                    continue
            except BROKEN as error:
                warn_of(below, store, error)
                continue
            yield name, node


def _readable(
    store: Store, paths: list[str], format: Format
) -> dict[str, tuple[Format, dict[str, bytes]]]:
    """Return the documents as ``documents_of`` does, without nodes whose documents are broken."""
    try:
        return documents_of(store, paths, format)
    except BROKEN as error:
        if len(paths) == 1:
            warn_of(paths[0], store, error)
            return {}
    # The error does not tell which of them is broken.
    half = len(paths) // 2
    return _readable(store, paths[:half], format) | _readable(store, paths[half:], format)


def warn_of(path: str, store: Store, error: Exception) -> None:
    """Warn that a member of a group cannot be read, and why."""
    warnings.warn(
        f"the member {'/' + path!r} in {store} cannot be read: {error}",
        errors.ZarrUserWarning,
        stacklevel=errors.caller_level(),
    )


def child_names(
    store: Store,
    path: str,
    format: Format,
    names: list[str],
    tell: Callable[[str, Store, Exception], None] | None = None,
) -> list[str]:
    """Return those of the names that are nodes of a format directly below a group.

    Their documents are not parsed. A name that cannot be looked up is left out, with a warning, or
    what ``tell`` does with its path and the error.
    """
    start = f"{path}/" if path else ""
    there: set[str] = set()
    broken: set[str] = set()
    for document_name in format.visible:
        answers: dict[str, Any] | None = None
        if store.concurrency != 1:
            left = [name for name in names if name not in there and name not in broken]
            keys = [f"{start}{name}/{document_name}" for name in left]
            answers = {left[at]: found for at, found in call_each(store, store.exists, keys)}
        for name in names:
            if name in there or name in broken:
                continue
            try:
                if answers is None:
                    found: Any = store.exists(f"{start}{name}/{document_name}")
                else:
                    found = answers[name]
                if isinstance(found, Exception):
                    raise found
                if found or (format.has_implied_groups and is_bare_folder(store, start + name)):
                    there.add(name)
            except BROKEN as error:
                broken.add(name)
                (tell or warn_of)(start + name, store, error)
    return [name for name in names if name in there]


def entries(store: Store, path: str) -> list[str]:
    """Return the names directly below a path that may be names of nodes, sorted."""
    names = store.list_dir(path)
    return [name for name in names if name not in METADATA_NAMES and _is_name(name)]


def _is_name(name: str) -> bool:
    try:
        validate_key(name)
    except errors.KeyValidationError:
        return False  # a file or folder of another program
    return True
