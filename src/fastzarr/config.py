"""The settings of the process, read whenever they are used.

The names are those of zarr-python where it has the same setting. ``config.set({...})`` changes
settings permanently, or, in a ``with`` statement, until the end of the block. An environment
variable named ``FASTZARR_`` (or ``ZARR_``) and the name in capitals, with ``__`` for dots, sets a
default, such as ``FASTZARR_ARRAY__WRITE_EMPTY_CHUNKS=1``.

Rules of this file:

* A value is checked when it is set, so that no later call fails, or does less, because of it.
* Settings belong to the process, not to a thread. The changes of each setting are kept in order,
  and the last one applies. The end of a ``with`` block removes its own changes and no others, so
  that blocks of several threads may overlap and end in any order.
* ``flat`` is replaced as a whole at each change and never modified, so that readers need no lock.
"""

from __future__ import annotations

import json
import numbers
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
_MIB = 1 << 20
_MISSING = object()
_OWN = ("array.", "database.", "fetch.", "limits.", "threading.")
# Settings of zarr-python that have no meaning here, by the beginning of their names.
_FOREIGN = (
    *("array.allow_unsafe", "array.rectilinear", "array.sharding_coalesce"),
    *("array.v2_default", "array.v3_default"),
    *("async.", "buffer", "codec_pipeline.", "codecs.", "ndbuffer"),
)

DEFAULTS: dict[str, Any] = {
    "default_zarr_format": 3,
    "array.order": "C",
    # Whether to store chunks that contain only the fill value.
    "array.write_empty_chunks": False,
    # Whether a missing chunk reads as fill values; if not, it raises ChunkNotFoundError.
    "array.read_missing_chunks": True,
    # Whether bytes behind the end of compressed data are ignored as padding; if not, they raise
    # ChunkError.
    "array.read_padded_chunks": True,
    # Whether the checksums of codecs are compared on reading. Files of programs that computed other
    # sums, such as zarrs before 0.11.5, can be read without.
    "array.verify_checksums": True,
    "array.target_chunk_size_bytes": _MIB,
    "array.target_shard_size_bytes": 64 * _MIB,
    # The casts allowed in assignments, as in np.can_cast; NumPy's own `a[...] = b` is "unsafe".
    "array.casting": "unsafe",
    "threading.max_workers": None,
    # The most requests to stores under way at once in this process, and the most bytes of values
    # that are fetched and not yet decoded, or encoded and not yet stored. Each call may always have
    # one value.
    "fetch.concurrency": 64,
    "fetch.bytes": 64 * _MIB,
    # The seconds after which a failed request to a server is not repeated any more, and those
    # after which an attempt fails in which no byte arrives.
    "fetch.deadline": 60.0,
    "fetch.timeout": 15.0,
    # The seconds for which a change waits for other programs that have a database in a file locked.
    "database.timeout": 60.0,
    # Which data in a local store survives a power cut: "none", "replace" or "full" (see
    # LocalStore).
    "durability": "replace",
    # Run plans in the native extension if possible ("native"), or always in NumPy ("numpy").
    "data_path": "native",
    "json_indent": 2,
    # Limits on metadata documents. Exceeding one raises LimitError, which names the limit.
    "limits.document_bytes": 64 * _MIB,
    "limits.document_depth": 128,
    "limits.dimensions": 64,
    "limits.chunk_bytes": 2 << 30,
    "limits.element_bytes": 64 * _MIB,
    # A chunk of unknown decoded size, as of text, decodes to at most 64 MiB or so many times its
    # stored size.
    "limits.expansion": 1024,
    "limits.shard_nesting": 4,
    "limits.inner_chunks": 1 << 27,
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "array.order": ("C", "F"),
    "array.casting": ("no", "equiv", "safe", "same_kind", "unsafe"),
    "durability": ("none", "replace", "full"),
    "data_path": ("native", "numpy"),
}
# Settings that must be at least 1; other numbers must be at least 0.
_POSITIVE = ("array.target_", "threading.")
_OPTIONAL = ("array.target_", "json_indent", "threading.")


class Config:
    """A mapping of dotted names to settings.

    >>> config.get("json_indent")
    2
    >>> with config.set({"json_indent": None}):
    ...     config.get("json_indent") is None
    True
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        """Initialise with the defaults, overridden by the environment."""
        self._defaults = dict(defaults)
        #: The settings in force by dotted name, for code that reads them often.
        self.flat: dict[str, Any] = {}
        self._unlock()
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = threading.Lock()

    @property
    def defaults(self) -> list[dict[str, Any]]:
        """The defaults as nested mappings, in a list as in zarr-python.

        >>> config.defaults[0]["json_indent"]
        2
        """
        return [self.nested(self._defaults)]

    @property
    def config(self) -> dict[str, Any]:
        """The current settings as nested mappings.

        >>> config.config["array"]["order"]
        'C'
        """
        return self.nested(self.flat)

    def reset(self) -> None:
        """Restore the defaults, overridden by the environment; all changes are dropped.

        >>> from fastzarr.config import DEFAULTS, Config
        >>> mine = Config(DEFAULTS)
        >>> _ = mine.set({"json_indent": None})
        >>> mine.reset()
        >>> mine["json_indent"]
        2
        """
        with self._lock:
            #: For each changed setting, its previous value and the changes since.
            self._changes: dict[str, list[tuple[weakref.ref[_Change] | None, Any]]] = {}
            self._put(self._defaults | self.environment())

    def environment(self) -> dict[str, Any]:
        """Return the settings in the environment by dotted name.

        Raise ``MetadataValidationError``, naming the variable, if a value is not valid.

        >>> from fastzarr.config import DEFAULTS, Config
        >>> set(Config({}).environment()) <= {*config.flat}
        True
        """
        return _environment()

    def admitted(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return new settings in their types.

        Raise ``MetadataValidationError`` if a value is not valid; an unknown name causes a warning.

        >>> config.admitted({"json_indent": 4.0})
        {'json_indent': 4}
        """
        found = {}
        for name, value in values.items():
            found[name] = valid(name, value, name) if name in DEFAULTS else value
            if name not in self._defaults and not name.startswith(_FOREIGN):
                self._warn_of(name)
        return found

    def nested(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings by dotted name as nested mappings.

        >>> config.nested({"a.b": 1, "a.c": 2})
        {'a': {'b': 1, 'c': 2}}
        """
        return _nested(values)

    def _put(self, flat: dict[str, Any]) -> None:
        # In this order, so that values derived from the old settings are put into the old dict.
        self.flat = flat
        self._derived: dict[Callable[[], Any], Any] = {}

    def derived(self, make: Callable[[], T]) -> T:
        """Return ``make()``, cached until a setting changes.

        The result must depend on settings only.

        >>> config.derived(lambda: config["json_indent"])
        2
        """
        derived = self._derived
        try:
            found: T = derived[make]
        except KeyError:
            found = derived[make] = make()
        return found

    def refresh(self) -> None:
        """Restore the defaults, as ``reset`` does (zarr-python's name).

        >>> from fastzarr.config import DEFAULTS, Config
        >>> Config(DEFAULTS).refresh()
        """
        self.reset()

    def get(self, key: str, default: Any = _MISSING) -> Any:
        """Return the setting of a dotted name, or a mapping of the settings with that prefix.

        Raise KeyError if there is none and no ``default`` is passed.

        >>> config.get("array.order"), config.get("array.missing", 0)
        ('C', 0)
        """
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
                return self.nested(below)
            if default is not _MISSING:
                return default
            msg = f"unknown setting {key!r}; known settings: {', '.join(sorted(self.flat))}"
            raise KeyError(msg) from None

    def __getitem__(self, key: str) -> Any:
        """Return the setting of a dotted name; raise KeyError if there is none."""
        return self.get(key)

    def __contains__(self, key: str) -> bool:
        """Whether there is a setting of this name."""
        return self.get(key, None) is not None or key in self.flat

    def __iter__(self) -> Iterator[str]:
        """Iterate over the dotted names."""
        return iter(self.flat)

    def set(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> _Change:
        """Change settings, permanently or, in a ``with`` statement, until the end of the block.

        In keywords, two underscores stand for a dot. Settings of zarr-python that have no meaning
        here are accepted, and so are those of other programs, such as ``mine.x``. Another unknown
        name, such as ``array.chunk_size``, causes a warning. Raise
        ``MetadataValidationError`` if a value is not valid; nothing is changed then.

        >>> with config.set(array__order="F"):
        ...     config["array.order"]
        'F'
        """
        try:
            flat = flattened(dict(values or {}))
        except (TypeError, ValueError):
            msg = f"settings must be a mapping, as in config.set({{{values!r}: ...}})"
            raise TypeError(msg) from None
        flat |= {name.replace("__", "."): value for name, value in more.items()}
        flat = self.admitted(flat)
        change = _Change(self, tuple(flat))
        with self._lock:
            for name, value in flat.items():
                changes = self._changes.setdefault(name, [(None, self.flat.get(name, _MISSING))])
                changes.append((weakref.ref(change), value))
                # A change that can no longer be removed makes all earlier ones irrelevant.
                final = [ref is not None and ref() is None for ref, _ in changes]
                if any(final):
                    del changes[: len(final) - 1 - final[::-1].index(True)]
            self._put(self.flat | flat)
        return change

    def _warn_of(self, name: str) -> None:
        import warnings
        from difflib import get_close_matches

        from fastzarr.errors import ZarrUserWarning, caller_level

        near = get_close_matches(name, self._defaults, 1)
        if not near and "." in name and not name.startswith(_OWN):
            return  # a setting of another package
        hint = f"did you mean {near[0]!r}?" if near else "config.pprint() lists the settings"
        msg = f"there is no setting {name!r}, so it has no effect; {hint}"
        warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())

    def __repr__(self) -> str:
        """Return the settings in force, one on each line."""
        lines = (f"  {name} = {value!r}" for name, value in sorted(self.flat.items()))
        return "\n".join(["<Config>", *lines])

    def pprint(self, stream: TextIO | None = None, **layout: Any) -> None:
        """Print the settings in force, one on each line (zarr-python's method).

        With options of ``pprint.pprint``, such as ``width``, they are printed as nested mappings.

        >>> config.pprint()  # doctest: +ELLIPSIS
        <Config>
          array.casting = ...
        """
        if layout:
            from pprint import pprint

            pprint(self.config, stream, **layout)  # noqa: T203  (printing is the purpose)
        else:
            print(self, file=stream)

    def _take_away(self, change: _Change) -> None:
        with self._lock:
            flat = dict(self.flat)
            for name in change.names:
                kept = [
                    one for one in self._changes.get(name, ()) if _made_by(one[0]) is not change
                ]
                if not kept:
                    continue  # ``reset()`` has been called since
                self._changes[name] = kept
                flat[name] = kept[-1][1]
                if flat[name] is _MISSING:
                    del flat[name]
                if len(kept) == 1:
                    del self._changes[name]
            self._put(flat)

    def enable_gpu(self) -> _Change:
        """Raise NotImplementedError: arrays are read into main memory.

        >>> config.enable_gpu()
        Traceback (most recent call last):
        NotImplementedError: reading into GPU memory is not supported
        """
        msg = "reading into GPU memory is not supported"
        raise NotImplementedError(msg)


class _Change:
    """A change of settings, removed at the end of a ``with`` block.

    Without such a block there is no reference to the object, and the change is permanent.
    """

    def __init__(self, config: Config, names: tuple[str, ...]) -> None:
        self._config, self.names = config, names

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._config._take_away(self)  # noqa: SLF001  (one mechanism)


def _made_by(change: weakref.ref[_Change] | None) -> _Change | None:
    return None if change is None else change()


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted name.

    >>> flattened({"array": {"order": "F"}})
    {'array.order': 'F'}
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
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
                value = _literal(text)
                found[key] = valid(key, value, name) if key in DEFAULTS else value
    return found


def _literal(text: str) -> Any:
    """Return the value of an environment variable, which is written as JSON, as Python or bare."""
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def _is_kept(name: str, value: Any) -> bool:
    """Whether the value of an integer setting need not be an integer."""
    if value is None:
        return name.startswith(_OPTIONAL)
    return name == "json_indent" and isinstance(value, str) and not value.strip(" \t\r\n")


def _integer(value: Any, least: int) -> int | None:
    whole = isinstance(value, float) and value.is_integer()
    number = int(value) if whole or hasattr(value, "__index__") else None
    return None if number is None or number < least else number


def _is_duration(value: Any) -> bool:
    return isinstance(value, numbers.Real) and value is not True and float(value) > 0


def valid(name: str, value: Any, where: str) -> Any:
    """Return the value of a setting, in its type.

    Raise ``MetadataValidationError``, naming ``where``, if it is not valid.
    """
    default = DEFAULTS[name]
    if name in _CHOICES:
        choices = list(map(repr, _CHOICES[name]))
        wanted = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
        if isinstance(value, str) and value in _CHOICES[name]:
            return value
    elif isinstance(default, bool):
        wanted = "true or false"
        if value in (0, 1):
            return bool(value)
    elif isinstance(default, float):
        wanted = "a number of seconds above 0"
        if _is_duration(value):
            return float(value)
    else:
        least = 1 if name.startswith(_POSITIVE) else 0
        wanted = f"an integer of at least {least}"
        if name.startswith(_OPTIONAL):
            wanted += ", or None"
        if _is_kept(name, value):
            return value
        number = _integer(value, least)
        if number is not None:
            return number
    from fastzarr.errors import MetadataValidationError

    msg = f"must be {wanted}, not {value!r}"
    raise MetadataValidationError(msg, where)


config = Config(DEFAULTS)
