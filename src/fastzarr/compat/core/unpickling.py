"""Whether data may be unpickled, which zarr-python decides when it is read.

Rules of this file:

* Both gates must be open, as in zarr-python: its own setting, and that of numcodecs.
* An array that is stored with pickle can be opened; the error is raised when a chunk is decoded.
"""

from __future__ import annotations

from fastzarr.compat.core.config import config
from fastzarr.errors import PickleCodecDisabledError

_SETTING = "array.allow_unsafe_pickle_decode"


def may_unpickle() -> bool:
    """Return True if zarr-python would unpickle now.

    Raise ``PickleCodecDisabledError`` if the setting of zarr-python or that of numcodecs forbids
    it; in the second case it is numcodecs' ``UnsafeDecodeError``, too.

    >>> may_unpickle()
    Traceback (most recent call last):
    fastzarr.errors.PickleCodecDisabledError: ... set array.allow_unsafe_pickle_decode to True ...
    """
    # Nothing but True allows it: text from the environment is true in Python, too.
    if config.get(_SETTING) is not True:
        msg = (
            "Refusing to decode data with the 'pickle' codec, because unpickling can execute any "
            f"code; if you trust the data, set {_SETTING} to True in config, and "
            "numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE"
        )
        raise PickleCodecDisabledError(msg)
    from numcodecs import pickles

    # Versions before 0.17 have no such setting.
    if not getattr(pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True):
        from numcodecs.errors import UnsafeDecodeError

        class NumcodecsPickleError(PickleCodecDisabledError, UnsafeDecodeError):  # type: ignore[misc]
            """Raised where zarr-python's setting allows to unpickle, and numcodecs' does not."""

        msg = (
            "numcodecs does not allow to unpickle; if you trust the data, set "
            "numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE to True"
        )
        raise NumcodecsPickleError(msg)
    return True
