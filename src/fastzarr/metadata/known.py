"""Documents that were understood before: the same bytes mean the same node.

Rules of this file:

* Bytes are read from the store at every open; remembered is only what they mean. So a document that
  has changed is always seen, and one that is refused is refused each time, with its own place.
* What is given belongs to the caller: attributes and other members of a document are new each time.
  All else in a layout never changes, so it is shared, the compiled program included.
* Only chains of this package's own codecs are remembered: what others registered, and what
  numcodecs makes of a configuration, may mean something else the next time. Records are not, since
  their NumPy dtype can be changed in place. Registering a codec forgets everything.
* What it takes is bounded: so many documents, each of so many bytes. Once full, it starts anew.
"""

from __future__ import annotations

import marshal
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fastzarr.config import DEFAULTS, config
from fastzarr.metadata import document, v3
from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = Layout | GroupLayout

MOST_BYTES, MOST_DOCUMENTS = 1 << 13, 1 << 9
# What a document may ask for is a setting, and part of what its bytes mean.
_limits = itemgetter(*(name for name in DEFAULTS if name.startswith("limits.")))
_OWN = frozenset(
    f"fastzarr.codecs.{name}"
    for name in ("blosc", "bytes", "crc32c", "gzip", "sharding", "transpose", "vlen", "zstd")
)

# A plain dict is read and written in one step, which matters where threads open nodes meanwhile.
remembered: dict[tuple[Any, ...], tuple[Node, bytes | None]] = {}


def parse(data: bytes, where: str) -> Node:
    """Give what the bytes of a ``zarr.json`` say; ``where``, its key, begins the place of errors.

    >>> parse(b'{"zarr_format": 3, "node_type": "group"}', "zarr.json").attributes
    {}
    """
    return _recall((data,), lambda: v3.parse(document.loads(data, where), where))


def parse_v2(
    data: bytes, attributes: bytes | None, make: Callable[..., Node], where: str, beside: str
) -> Node:
    """Give what a ``.zarray`` or ``.zgroup`` and its ``.zattrs`` say; ``make`` reads the former.

    ``where`` and ``beside`` are the keys of the two documents.
    """

    def read() -> Node:
        found = document.loads(data, where)
        return make(found, {} if attributes is None else document.loads(attributes, beside), where)

    return _recall((data, attributes, make), read)


def forget() -> None:
    """Forget all, since the same bytes may mean something else from now on."""
    remembered.clear()


def _recall(what: tuple[Any, ...], make: Callable[[], Node]) -> Node:
    """Give the node that was made of the same before, or make it."""
    try:
        key = (*what, _limits(config.flat))
        found = remembered.get(key)
    except TypeError:  # a store that gives other buffers than bytes, a limit that is no number
        return make()
    if found is not None:
        same, loose = found
        return same.again(*(({}, {}) if loose is None else marshal.loads(loose)))  # noqa: S302
    made = make()
    if sum(len(part) for part in what if isinstance(part, bytes)) > MOST_BYTES or not _lasts(made):
        return made
    try:
        loose = marshal.dumps((made.attributes, made.extra))
    except ValueError:  # nested deeper than it goes
        return made
    if len(remembered) >= MOST_DOCUMENTS:
        remembered.clear()
    same = replace(made, attributes={}, extra={})
    remembered[key] = same, loose if made.attributes or made.extra else None
    return same.again(made.attributes, made.extra)


def _lasts(node: Node) -> bool:
    """Tell whether nothing in a node, attributes and extra members left out, can ever change."""
    if isinstance(node, GroupLayout):
        return node.consolidated is None
    return node.dtype.numpy.kind != "V" and all(map(_is_own, node.codecs))


def _is_own(codec: Any) -> bool:
    inner = getattr(codec, "codecs", ()) + getattr(codec, "index_codecs", ())
    return type(codec).__module__ in _OWN and all(map(_is_own, inner))
