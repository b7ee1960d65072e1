"""A data type of fastzarr over one that another package derived from zarr-python's class.

Rules of this file:

* What an element is, and its JSON, is asked of that class. Only the native byte order is ours.
"""

from __future__ import annotations

from copy import copy
from operator import attrgetter
from typing import Any, ClassVar, Self

from fastzarr.checked import placed
from fastzarr.dtypes import DataType
from fastzarr.errors import DataTypeValidationError, MetadataError

name_of = attrgetter("_zarr_v3_name")
"""Return the name in format 3 of a class derived from ``zarr.dtype.ZDType``."""


class Adapted(DataType):
    """The data type that the object ``outer`` of another package describes."""

    #: The class that documents are parsed with, in a subclass that ``family`` has made.
    of: ClassVar[Any]
    outer: Any

    def __init__(self, outer: Any) -> None:
        """Initialise over an object of a class derived from ``zarr.dtype.ZDType``."""
        numpy = outer.to_native_dtype()
        super().__init__(
            numpy,
            name_of(outer),
            multibyte=numpy.byteorder != "|",
            variable=numpy.hasobject or numpy.kind == "T",
            outer=outer,
            object_codec_id=getattr(outer, "object_codec_id", None),
        )

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> Any:
        """Return the data type with the ``configuration`` object of a format 3 document."""
        name = name_of(cls.of)
        json = {"name": name, "configuration": config} if config else name
        return placed(lambda: cls.of.from_json(json, zarr_format=3).inner, where)

    @classmethod
    def from_v2(cls, json: Any, object_codec_id: str | None) -> Any:
        """Return the data type of the ``dtype`` of a ``.zarray``; None if it is that of others."""
        try:
            spec = {"name": json, "object_codec_id": object_codec_id}
            return cls.of.from_json(spec, zarr_format=2).inner
        except DataTypeValidationError:
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the object of the other package."""
        return Adapted, (self.outer,)

    def _key(self) -> tuple[object, ...]:
        return (self.outer,)

    def native(self) -> Self:
        """Return this data type in native byte order."""
        numpy = self.numpy.newbyteorder("=")
        if numpy == self.numpy:
            return self
        new = copy(self)
        vars(new).update(numpy=numpy)
        return new

    def to_v3(self) -> Any:
        """Return the ``data_type`` member of a ``zarr.json``."""
        return self.outer.to_json(zarr_format=3)

    def to_v2(self) -> Any:
        """Return the ``dtype`` member of a ``.zarray``."""
        return self.outer.to_json(zarr_format=2)["name"]

    @property
    def default_fill(self) -> Any:
        """The fill value used if none is given."""
        return self.outer.default_scalar()

    def _fill_to_json(self, fill: Any, zarr_format: int) -> Any:
        return self.outer.to_json_scalar(fill, zarr_format=zarr_format)

    def _fill_from_json(self, value: Any, zarr_format: int, where: str) -> Any:
        try:
            return self.outer.from_json_scalar(value, zarr_format=zarr_format)
        except (TypeError, ValueError) as error:
            raise MetadataError(str(error), where) from error

    def _cast(self, value: Any) -> Any:
        return self.outer.cast_scalar(value)


def family(cls: Any) -> type[Adapted]:
    """Return the class of fastzarr for documents that name a class of another package."""
    return type(f"Adapted{cls.__name__}", (Adapted,), {"of": cls})
