"""The formats that this package reads and writes, in the order in which a reader looks for them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from fastzarr.config import config
from fastzarr.errors import MetadataValidationError
from fastzarr.metadata import n5, v2, v3
from fastzarr.metadata.format import Format

if TYPE_CHECKING:
    from fastzarr.metadata.layout import GroupLayout, Layout

#: All formats. Where nodes of several formats have the same path, the first one is opened.
FORMATS: tuple[Format, ...] = (v3.FORMAT, v2.FORMAT, n5.FORMAT)


def parse_format(number: Any, where: str = "zarr_format") -> Format:
    """Return the format of a number that a user passed as ``where``; a format is returned as is.

    Raise ``MetadataValidationError`` if there is no such format.

    >>> parse_format(2)
    <format 2>
    """
    if isinstance(number, Format):
        return number
    found = None if isinstance(number, bool) else _find(number)
    if found is None:
        names = sorted((each.number for each in FORMATS), key=str)
        numbers = " or ".join(map(repr, names))
        msg = f"must be {numbers}, not {number!r}"
        raise MetadataValidationError(msg, where)
    return found


def same_format(zarr_format: Any, zarr_version: Any) -> Format | None:
    """Return the format from ``zarr_format`` and its alias ``zarr_version``; None if not given.

    Raise TypeError if the two disagree.
    """
    if zarr_format is not None and zarr_version is not None and zarr_format != zarr_version:
        msg = f"zarr_format={zarr_format!r} and zarr_version={zarr_version!r} disagree; pass one"
        raise TypeError(msg)
    found = zarr_version if zarr_format is None else zarr_format
    return None if found is None else parse_format(found)


def default_format() -> Format:
    """Return the format given by the setting ``default_zarr_format``."""
    return parse_format(config["default_zarr_format"], "default_zarr_format of config")


@cache
def sought(known: tuple[Format, ...], own: Any = None) -> tuple[Format, ...]:
    """Return, of the ``known`` formats, those that a reader looks for in a store, in this order.

    ``own`` is the ``zarr_format`` of the store, which comes first. A format that is not looked for
    everywhere is left out, unless it is that.

    >>> sought(FORMATS), sought(FORMATS, "n5")
    ((<format 3>, <format 2>), (<format n5>, <format 3>, <format 2>))
    """
    first = () if own is None else (parse_format(own, "zarr_format of the store"),)
    return first + tuple(each for each in known if each.is_everywhere and each not in first)


def others(format: Format | None) -> list[Format]:
    """Iterate over all formats but one, in the order of ``FORMATS``."""
    return [each for each in FORMATS if each is not format]


@cache
def visible(formats: tuple[Format, ...] = FORMATS) -> tuple[str, ...]:
    """Return the names of the documents that make a node of one of the formats visible."""
    return tuple(name for each in formats for name in each.visible)


@cache
def searched(formats: tuple[Format, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of documents in the order in which a reader looks for a node.

    The first of each tuple makes a node visible, and the others are read only if it is there.

    >>> searched((v3.FORMAT, v2.FORMAT))
    (('zarr.json',), ('.zarray', '.zattrs'), ('.zgroup', '.zattrs'))
    """
    return tuple((name, *others) for each in formats for name, others in each.searched)


def from_dict(doc: dict[str, Any], where: str | None = None) -> Layout | GroupLayout:
    """Return the layout of a node's metadata in one document, of any format.

    ``where`` is the location of the document, which errors name. Raise ``MetadataError`` if the
    document is invalid.

    >>> from_dict({"zarr_format": 2, "attributes": {"title": "demo"}}).attributes
    {'title': 'demo'}
    """
    found = _find(doc.get("zarr_format")) or FORMATS[0]
    node: Layout | GroupLayout = found.from_dict(doc, where)
    return node


def _find(number: Any) -> Format | None:
    for each in FORMATS:
        if each.number == number:
            return each
    return None
