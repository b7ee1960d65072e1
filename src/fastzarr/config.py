"""Settings of the process, read when they are used.

The names are those of zarr-python where it has them. ``config.set({...})`` changes them at once and
for good, or, used in a ``with`` statement, until its end. A variable of the environment named
``FASTZARR_`` (or ``ZARR_``) and the dotted name in capitals, with ``__`` for dots, sets a default,
such as ``FASTZARR_ARRAY__WRITE_EMPTY_CHUNKS=1``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MIB = 1 << 20
_MISSING = object()

DEFAULTS: dict[str, Any] = {
    "default_zarr_format": 3,
    "array.order": "C",
    # An all-fill chunk is not stored; True stores it all the same.
    "array.write_empty_chunks": False,
    # False turns a chunk that is not in the store into a ChunkNotFoundError.
    "array.read_missing_chunks": True,
    "array.target_chunk_size_bytes": _MIB,
    "array.target_shard_size_bytes": 64 * _MIB,
    # What an assignment may convert, in NumPy's words: "unsafe" is what `a[...] = b` does there.
    "array.casting": "unsafe",
    "threading.max_workers": None,
    # What of a local store outlasts a power cut: "none", "replace" or "full" (see LocalStore).
    "durability": "replace",
    # Who runs a plan: the native extension where it can ("native"), or always NumPy ("numpy").
    "data_path": "native",
    "json_indent": 2,
    # What a metadata document may ask for. Each is refused, by name, beyond these.
    "limits.document_bytes": 64 * _MIB,
    "limits.document_depth": 64,
    "limits.dimensions": 64,
    "limits.chunk_bytes": 2 << 30,
    "limits.shard_nesting": 4,
    "limits.inner_chunks": 1 << 27,
}


class Config:
    """Hold the settings by dotted name.

    >>> config.get("json_indent")
    2
    >>> with config.set({"json_indent": None}):
    ...     config.get("json_indent") is None
    True
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        """Start from the defaults and the environment."""
        self._defaults = dict(defaults)
        #: The settings in force by dotted name, for who reads them often.
        self.flat: dict[str, Any] = {}
        self.reset()

    @property
    def defaults(self) -> list[dict[str, Any]]:
        """Give the defaults as nested mappings, in a list as zarr-python has it."""
        return [_nested(self._defaults)]

    @property
    def config(self) -> dict[str, Any]:
        """Give the settings in force as nested mappings."""
        return _nested(self.flat)

    def reset(self) -> None:
        """Return to the defaults and the environment."""
        self.flat = self._defaults | _environment()

    def refresh(self) -> None:
        """Return to the defaults and the environment, under zarr-python's other name."""
        self.reset()

    def get(self, key: str, default: Any = _MISSING) -> Any:
        """Give the setting of a dotted name, or the mapping of those below it."""
        try:
            return self.flat[key]
        except KeyError:
            prefix = key + "."
            below = {
                name.removeprefix(prefix): value
                for name, value in self.flat.items()
                if name.startswith(prefix)
            }
            if below:
                return _nested(below)
            if default is not _MISSING:
                return default
            msg = f"no setting is named {key!r}; there are {', '.join(sorted(self.flat))}"
            raise KeyError(msg) from None

    def __getitem__(self, key: str) -> Any:
        """Give the setting of a dotted name."""
        return self.get(key)

    def __contains__(self, key: str) -> bool:
        """Tell whether a setting of this name exists."""
        return self.get(key, None) is not None or key in self.flat

    def __iter__(self) -> Iterator[str]:
        """Go through the dotted names."""
        return iter(self.flat)

    def set(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> _Restore:
        """Change settings; used in a ``with`` statement, until its end.

        Keywords spell a dot as two underscores. Names that are not known are kept, since settings
        of zarr-python that mean nothing here may be set by code written for it.
        """
        flat = _flat(dict(values or {}))
        flat |= {name.replace("__", "."): value for name, value in more.items()}
        before = dict(self.flat)
        self.flat = self.flat | flat
        return _Restore(self, before)

    def enable_gpu(self) -> _Restore:
        """Refuse: arrays are read into main memory here."""
        msg = "reading into GPU memory is not supported"
        raise NotImplementedError(msg)


class _Restore:
    def __init__(self, config: Config, before: dict[str, Any]) -> None:
        self._config, self._before = config, before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._config.flat = self._before


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested


def _environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for prefix in ("ZARR_", "FASTZARR_"):
        for name, text in os.environ.items():
            if name.startswith(prefix):
                key = name[len(prefix) :].lower().replace("__", ".")
                try:
                    found[key] = json.loads(text)
                except ValueError:
                    found[key] = text
    return found


config = Config(DEFAULTS)
