"""Which arrays may be unpickled: only those for which the caller has allowed it.

Rules of this file:

* Unpickling executes code chosen by the writer of the data. Nothing in a store or in the
  environment can allow it. A handle that may unpickle keeps that permission when its metadata is
  reloaded.
* Opening an array by name raises an error if reading it would unpickle without permission. Listing
  many arrays returns it, and its codec raises the error when it is read.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fastzarr.metadata.layout import Layout


def trusts(layout: Layout) -> bool:
    """Whether the codecs of a layout are allowed to unpickle."""
    return any(getattr(codec, "allow_pickle", False) for codec in layout.codecs)


def trusted(layout: Layout, name: str = "", *, allow: bool) -> Layout:
    """Return the layout, with codecs that are allowed to unpickle if ``allow`` is True.

    ``name`` is the name of the array for messages. Raise ``PickleCodecDisabledError`` if the array
    is stored with pickle and unpickling is not allowed.
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
                f"array {name!r} is stored with pickle, which can execute any code when read; "
                "open it with allow_pickle=True if you trust its source"
            )
            raise PickleCodecDisabledError(msg)
    return layout


def _unpickles(codec: Any) -> bool:
    return any(config.get("id") == "pickle" for config in codec.configs())
