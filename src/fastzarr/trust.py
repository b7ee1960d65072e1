"""Which arrays may be unpickled: those of which the caller has said so.

Rules of this file:

* To unpickle is to run code of whoever wrote the data. Nothing in a store and nothing in the
  environment can allow it; a handle that may unpickle stays one when its metadata is read anew.
* An array that is opened by name and would unpickle is refused then. Where many are listed it is
  given, and refused by its codec when it is read.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


def trusts(layout: Layout) -> bool:
    """Tell whether the codecs of a layout may unpickle."""
    return any(getattr(codec, "allow_pickle", False) for codec in layout.codecs)


def trusted(layout: Layout, name: str = "", *, allow: bool) -> Layout:
    """Give the layout with codecs that may unpickle if that is allowed, else as it is.

    Raises ``PickleCodecDisabledError`` for one that would have to unpickle and may not; ``name``
    is that of the array.
    """
    if allow:
        codecs = tuple(
            dataclasses.replace(cast("Any", codec), allow_pickle=True)
            if hasattr(codec, "allow_pickle")
            else codec
            for codec in layout.codecs
        )
        return dataclasses.replace(layout, codecs=codecs)
    for codec in layout.codecs:
        if hasattr(codec, "allow_pickle") and not codec.allow_pickle and _unpickles(codec):
            from fastzarr.errors import PickleCodecDisabledError

            msg = (
                f"array {name!r} is stored with pickle, which can run any code when it is read; "
                "open it with allow_pickle=True if you trust its source"
            )
            raise PickleCodecDisabledError(msg)
    return layout


def _unpickles(codec: Any) -> bool:
    return any(config.get("id") == "pickle" for config in codec.configs())
