"""A Zarr format: the names of its documents, how they are parsed and written, and what it lacks.

Rules of this file:

* Code outside ``metadata/`` and ``dtypes/`` never compares the number of a format, and never
  contains the name of a document. It uses the ``format`` of a layout, or ``formats.py`` for all.
* A format is a single object named ``FORMAT`` in a module of its own. It is immutable, is compared
  by identity, and is pickled as the name of that object.
* The methods take and return ``Layout`` and ``GroupLayout``, which are defined above this file and
  therefore appear as ``Any`` in the signatures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from fastzarr._lazy import cached
from fastzarr.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastzarr import hints
    from fastzarr.codecs.base import Codec

    Kind = Literal["array", "group"]
    Document = dict[str, Any]


class Shown(NamedTuple):
    """The codecs of an array as zarr-python presents them.

    ``serializer`` is None in a format whose documents do not name one.
    """

    filters: tuple[Any, ...]
    serializer: Any
    compressors: tuple[Any, ...]


class Format(ABC):
    """A format, as the rest of the package sees it.

    The class attributes are the properties in which formats differ. ``parse`` and ``write`` convert
    between documents, which are JSON objects by name, and layouts.
    """

    #: What ``zarr_format`` returns.
    number: ClassVar[hints.ZarrFormat]
    #: The name of the document that contains the attributes.
    attributes: ClassVar[str]
    #: The names of the documents of each kind of node, in the order in which they are written. The
    #: last one makes the node visible, so a reader that finds it finds the others too.
    documents: ClassVar[Mapping[Kind, tuple[str, ...]]]
    #: The name of the document with consolidated metadata: a document of the group itself, or a
    #: separate one. None if the format has no consolidated metadata.
    consolidated: ClassVar[str | None] = None
    #: Whether readers look for nodes of the format in every store. If not, they do so in stores and
    #: calls that name it.
    is_everywhere: ClassVar[bool] = True
    #: Whether a folder without a document is a group.
    has_implied_groups: ClassVar[bool] = False
    #: Whether an array has a fill value of its own. If not, it is zero.
    has_fill_value: ClassVar[bool] = True
    #: The member with the data type, on which the JSON of the fill value depends.
    data_type: ClassVar[str]
    #: Whether the axes of an array can have names.
    has_dimension_names: ClassVar[bool] = False
    #: The beginning of names that the format reserves, but that other programs use; empty if none.
    reserved: ClassVar[str] = ""
    #: Whether an array has at most one compressor, which ``Array.compressor`` returns.
    has_one_compressor: ClassVar[bool] = False

    def __repr__(self) -> str:
        """Return the number of the format."""
        return f"<format {self.number}>"

    def __reduce__(self) -> str:
        """Pickle the name of the object."""
        return "FORMAT"

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of a node's documents; the last one makes the node visible."""
        return self.documents[kind]

    @cached
    def searched(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Pairs of the name of a document that makes a node visible and the names of its others.

        They are in the order in which a reader looks for them. A document that serves both kinds of
        nodes appears once.
        """
        return tuple((names[-1], names[:-1]) for names in dict.fromkeys(self.documents.values()))

    @cached
    def visible(self) -> tuple[str, ...]:
        """The names of the documents that make a node visible, in the order of ``searched``."""
        return tuple(name for name, _ in self.searched)

    @cached
    def separate_attributes(self) -> str | None:
        """The name of the document that has only the attributes; None if there is none."""
        return None if self.attributes in self.visible else self.attributes

    @cached
    def separate_consolidated(self) -> str | None:
        """The default name of a separate document with consolidated metadata; None if inline."""
        return None if self.consolidated in self.visible else self.consolidated

    @abstractmethod
    def parse(self, documents: Mapping[str, Document], where: Callable[[str], str]) -> Any:
        """Return the layout of the documents of a node, which are given by name.

        ``where`` returns the location of a document by its name, for errors. Raise
        ``MetadataError``, naming the member at fault, if a document is invalid.
        """

    def completed(
        self,
        documents: Mapping[str, Document],
        separator: str | None,  # noqa: ARG002  (of use to some formats)
    ) -> Mapping[str, Document]:
        """Return documents with what they leave to the store, such as the ``separator`` of keys."""
        return documents

    @abstractmethod
    def write(self, node: Any) -> dict[str, Document]:
        """Return the documents of a node by name.

        A separate document of attributes is omitted if there are no attributes.
        """

    def implied_group(self) -> Any:
        """Return the layout of a folder without a document, if such folders are groups."""
        raise NotImplementedError

    def shown(self, layout: Any) -> Shown:
        """Return the filters, the serializer and the compressors of an array."""
        codecs = layout.codecs
        return Shown(
            tuple(codec for codec in codecs if isinstance(codec, ArrayArrayCodec)),
            next(codec for codec in codecs if isinstance(codec, ArrayBytesCodec)),
            tuple(codec for codec in codecs if isinstance(codec, BytesBytesCodec)),
        )

    def with_filters(self, layout: Any, filters: list[Any]) -> list[Codec]:
        """Return the codecs of an array with other filters, to be resolved for its chunks."""
        from fastzarr.codecs import parse

        kept = [codec for codec in layout.codecs if not isinstance(codec, ArrayArrayCodec)]
        return [*(parse(codec, "filters") for codec in filters), *kept]

    def from_dict(self, doc: Document, where: str | None = None) -> Any:
        """Return the layout of one document that contains the attributes, as ``to_dict`` returns.

        ``where`` is the location of the document, for errors; the default is its name.
        """
        kind: Kind = "array" if "shape" in doc else "group"
        *_, name = self.names(kind)
        separate = self.separate_attributes
        documents = {name: doc}
        if separate is not None:
            inside = ("attributes", "node_type", "consolidated_metadata")
            documents = {name: {key: doc[key] for key in doc if key not in inside}}
            documents[separate] = doc.get("attributes", {})
        return self.parse(documents, lambda name: name if where is None else where)

    def to_dict(self, node: Any) -> Document:
        """Return the metadata of a node as one document, including the attributes."""
        documents = self.write(node)
        *_, name = self.names(node.node_type)
        separate = self.separate_attributes
        if separate is None:
            return documents[name]
        return documents[name] | {"attributes": documents.get(separate, {})}

    def parse_consolidated(self, doc: Document, where: str) -> Mapping[str, Any]:
        """Return the nodes in a separate document of consolidated metadata, by path.

        The group that the document belongs to has the path ``""``. Raise ``MetadataError``, naming
        ``where``, if the document is invalid.
        """
        raise NotImplementedError

    def write_consolidated(self, nodes: Mapping[str, Any]) -> Document:
        """Return a separate document of consolidated metadata; the group itself is at ``""``."""
        raise NotImplementedError

    def is_consolidated(self, value: bytes) -> bool:
        """Whether a value under any key is a separate document of consolidated metadata."""
        del value
        return False
