"""``zarr.core.dtype.registry``: data types by name, and the one for a NumPy dtype or JSON.

Rules of this file:

* A registry asks its classes, in their order. A class that does not know a dtype raises
  DataTypeValidationError; any other error ends the search.
* What was found for a plain number or a name is kept until a class is registered or removed.
* Format 2 names a byte order also where there is none: as written, and then with "|".
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastzarr.compat.core.dtype.adapted import family, name_of
from fastzarr.compat.core.dtype.npy.structured import InvalidFieldError, Structured
from fastzarr.dtypes.parse import register_dtype, unregister_dtype
from fastzarr.errors import DataTypeValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastzarr.compat.core.dtype.wrapper import ZDType

_WITHOUT_ORDER = re.compile(r"[<>](b1|i1|u1|V[0-9]+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class DataTypeRegistry:
    """A mapping of names of format 3 to classes of data types."""

    contents: dict[str, type[ZDType[Any, Any]]] = field(default_factory=dict, init=False)
    _lazy_load_list: list[Any] = field(default_factory=list, init=False)
    # The answers that are kept, None where there is no data type, and the classes that were asked.
    _answers: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    _asked: list[Any] = field(default_factory=list, init=False, compare=False, repr=False)

    def _kept(self) -> dict[Any, Any]:
        """Return the answers of the present classes."""
        self._lazy_load()
        asked = list(self.contents.values())
        if asked != self._asked:
            self._answers.clear()
            self._asked[:] = asked
        return self._answers

    def _lazy_load(self) -> None:
        for entry in self._lazy_load_list:
            found = entry.load()
            self.register(name_of(found), found)
        self._lazy_load_list.clear()

    def declare(self, entries: Iterable[Any]) -> None:
        """Add entry points of installed packages, which are loaded when a data type is sought."""
        self._lazy_load_list.extend(entries)

    def installed(self, key: str) -> type[ZDType[Any, Any]] | None:
        """Return the class of a name, also of an entry point; None if it is not registered."""
        self._lazy_load()
        return self.contents.get(key)

    def register(self, key: str, cls: type[ZDType[Any, Any]]) -> None:
        """Register a class under a name; an earlier meaning of the name is replaced."""
        if self.contents.get(key) is not cls:
            self.contents[key] = cls

    def unregister(self, key: str) -> None:
        """Remove a name; raise KeyError if it is not registered."""
        if key not in self.contents:
            msg = f"Data type '{key}' not found in registry."
            raise KeyError(msg)
        del self.contents[key]

    def get(self, key: str) -> type[ZDType[Any, Any]]:
        """Return the class of a name; raise KeyError if it is not registered."""
        self._lazy_load()
        return self.contents[key]

    def match_dtype(self, dtype: Any) -> ZDType[Any, Any]:
        """Return the data type of a NumPy dtype.

        Raise ValueError if no class, or more than one, knows the dtype, and for objects.
        """
        answers = self._kept()
        plain = isinstance(dtype, np.dtype) and dtype.isbuiltin == 1 and dtype.metadata is None
        if plain and dtype in answers:
            found: ZDType[Any, Any] = answers[dtype]
            return found
        if dtype == np.dtype("O"):
            msg = (
                f"Zarr data type resolution from {dtype} failed. "
                'Attempted to resolve a zarr data type from a numpy "Object" data type, which is '
                "ambiguous: pass a Zarr data type, such as VariableLengthUTF8()"
            )
            raise ValueError(msg)
        matched = []
        for cls in self.contents.values():
            with contextlib.suppress(DataTypeValidationError):
                matched.append(cls.from_native_dtype(dtype))
        if len(matched) > 1:
            msg = (
                f"Zarr data type resolution from {dtype} failed. "
                f"Multiple data type wrappers found that match dtype '{dtype}': {matched}. "
                "You should unregister one of these data types, or pass a Zarr data type"
            )
            raise ValueError(msg)
        if not matched:
            msg = f"No Zarr data type found that matches dtype '{dtype!r}'"
            raise ValueError(msg)
        if plain:
            answers[dtype] = matched[0]
        return matched[0]

    def match_json(
        self, data: Any, *, zarr_format: Any, where: tuple[str | int, ...] = ()
    ) -> ZDType[Any, Any]:
        """Return the data type of the JSON of a format.

        ``where`` is the place of the JSON in that of another data type. Raise ValueError if no
        class knows the JSON.
        """
        key = (data, zarr_format) if type(data) is str else None
        answers = self._kept()
        found: ZDType[Any, Any] | None
        if key is not None and key in answers:
            found = answers[key]
        else:
            found = self._first(data, zarr_format, where)
            if key is not None:
                answers[key] = found
        if found is None:
            msg = f"No Zarr data type found that matches {data!r}"
            if where:
                msg += f" at {_pointer(where)}"
            raise ValueError(msg)
        return found

    def _first(
        self, data: Any, zarr_format: Any, where: tuple[str | int, ...]
    ) -> ZDType[Any, Any] | None:
        """Return what the first class that knows the JSON makes of it."""
        for spelling in _spellings(data) if zarr_format == 2 else (data,):
            for cls in tuple(self.contents.values()):
                try:
                    if issubclass(cls, Structured):
                        return cls.from_json_with(
                            spelling, zarr_format=zarr_format, lookup=self, where=where
                        )
                    return cls.from_json(spelling, zarr_format=zarr_format)
                except InvalidFieldError:
                    raise
                except DataTypeValidationError:
                    continue
        return None


class SharedRegistry(DataTypeRegistry):
    """The registry of documents: a data type of another package is one of fastzarr, too."""

    def register(self, key: str, cls: type[ZDType[Any, Any]]) -> None:
        """Register a class under a name; an earlier meaning of the name is replaced."""
        if self.contents.get(key) is cls:
            return
        super().register(key, cls)
        if getattr(cls, "own", None) is not cls:
            register_dtype(key, family(cls))

    def unregister(self, key: str) -> None:
        """Remove a name; raise KeyError if it is not registered."""
        found = self.contents.get(key)
        super().unregister(key)
        if getattr(found, "own", None) is not found:
            unregister_dtype(key)


def _spellings(data: Any) -> Iterator[Any]:
    yield data
    name = data.get("name") if isinstance(data, dict) else None
    found = _WITHOUT_ORDER.fullmatch(name) if isinstance(name, str) else None
    if found is not None:
        yield {**data, "name": f"|{found[1]}"}


def _pointer(where: tuple[str | int, ...]) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in where)
