"""Which arrays may be unpickled: only those for which the caller has allowed it.

Rules of this file:

* Unpickling executes code chosen by the writer of the data. Nothing in a store or in the
  environment can allow it. A handle that may unpickle keeps that permission when its metadata is
  reloaded.
* A permission is True, or a function that is asked each time that data is unpickled, and that may
  raise an error of its own. The facade of zarr-python has such a function.
* Opening an array by name raises an error if reading it would unpickle without permission. Listing
  many arrays returns it, and its codec raises the error when it is read.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fastzarr.codecs.numcodecs.filters import Permission
    from fastzarr.metadata.layout import Layout


def trusts(layout: Layout) -> Permission:
    """Return the permission to unpickle that the codecs of a layout have, or False."""
    found = (getattr(codec, "allow_pickle", False) for codec in layout.codecs)
    return next((allow for allow in found if allow), False)


def trusted(layout: Layout, name: str = "", *, allow: Permission) -> Layout:
    """Return the layout, with codecs that are allowed to unpickle if ``allow`` says so.

    ``name`` is the name of the array for messages. Raise ``PickleCodecDisabledError`` if the array
    is stored with pickle and unpickling is not allowed.
    """
    if allow and any(hasattr(codec, "allow_pickle") for codec in layout.codecs):
        codecs = tuple(
            dataclasses.replace(cast("Any", codec), allow_pickle=allow)
            if hasattr(codec, "allow_pickle")
            else codec
            for codec in layout.codecs
        )
        return dataclasses.replace(layout, codecs=codecs)
    if not allow and unpickles(layout) and not trusts(layout):
        from fastzarr.errors import PickleCodecDisabledError

        msg = (
            f"array {name!r} is stored with pickle, which can execute any code when read; "
            "open it with allow_pickle=True if you trust its source"
        )
        raise PickleCodecDisabledError(msg)
    return layout


def unpickles(layout: Layout) -> bool:
    """Whether reading the array runs pickle, as a filter or as the compressor of the document."""
    # A loop is sooner than `any`, whenever an array is opened.
    for codec in layout.codecs:
        if hasattr(codec, "allow_pickle"):
            for item in cast("Any", codec).filters:
                if item.id == "pickle":
                    return True
    return False
