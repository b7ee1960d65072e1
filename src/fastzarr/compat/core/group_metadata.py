"""The metadata of groups: ``GroupMetadata``, and the consolidated metadata of the nodes below.

Rules of this file:

* JSON documents are the common tongue: ``to_dict`` and ``from_dict`` have the members of
  zarr-python's. ``layout`` is the same metadata as the engine has it, and ``from_layout`` the way
  back.
* Metadata that comes from a layout converts consolidated metadata only when somebody asks for it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, cast

from fastzarr.compat.abc.metadata import Metadata
from fastzarr.compat.core._json import json_to_buffer
from fastzarr.compat.core.common import ZARR_JSON, ZATTRS_JSON, ZGROUP_JSON, ZMETADATA_V2_JSON
from fastzarr.compat.core.config import config
from fastzarr.compat.core.metadata.v2 import ArrayV2Metadata
from fastzarr.compat.core.metadata.v3 import ArrayV3Metadata
from fastzarr.compat.errors import MetadataValidationError, NodeTypeValidationError
from fastzarr.metadata.formats import parse_format
from fastzarr.metadata.layout import GroupLayout, Layout

if TYPE_CHECKING:
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype
    from fastzarr.compat.core.common import ZarrFormat

NodeMetadata: TypeAlias = "ArrayV2Metadata | ArrayV3Metadata | GroupMetadata"

#: The members of the document of a group that are not extensions.
GROUP_METADATA_KEYS = {"zarr_format", "node_type", "attributes", "consolidated_metadata"}


def parse_zarr_format(data: Any) -> ZarrFormat:
    """Return 2 or 3; raise ValueError for anything else."""
    if isinstance(data, bool) or data not in (2, 3):
        msg = f"Invalid value for 'zarr_format'. Expected one of (2, 3). Got {data!r}."
        raise ValueError(msg)
    return cast("ZarrFormat", data)


def parse_node_type(data: Any) -> Literal["array", "group"]:
    """Return ``array`` or ``group``; raise MetadataValidationError for anything else."""
    if data not in ("array", "group"):
        msg = f"Invalid value for 'node_type'. Expected one of ('array', 'group'). Got {data!r}."
        raise MetadataValidationError(msg)
    return cast("Literal['array', 'group']", data)


def parse_attributes(data: Any) -> dict[str, Any]:
    """Return attributes as a new ``dict``; raise TypeError if they are none."""
    if data is None:
        return {}
    if isinstance(data, dict) and all(isinstance(name, str) for name in data):
        return dict(data)
    msg = f"Expected dict with string keys. Got {type(data)} instead."
    raise TypeError(msg)


def _parse_extra(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the extensions of a document, which readers may ignore."""
    extra = dict(data or {})
    taken = sorted(GROUP_METADATA_KEYS & extra.keys())
    if taken:
        msg = f"the extra fields {taken} of a group collide with keys reserved for its metadata"
        raise ValueError(msg)
    for name, value in extra.items():
        if not isinstance(value, Mapping) or value.get("must_understand") is not False:
            msg = (
                f"the extra field {name!r} of a group must be an object with "
                f"'must_understand': false, because no reader knows it; it is {value!r}"
            )
            raise MetadataValidationError(msg)
    return extra


def parse_node(data: Any, path: str | None = None) -> NodeMetadata:
    """Return the metadata of a node from its document, in format 2 with its attributes in it."""
    if not isinstance(data, dict):
        name, kind = path or "", type(data).__name__
        msg = f"Invalid value for metadata items. key='{name}', type='{kind}'"
        raise TypeError(msg)
    found: NodeMetadata
    if parse_zarr_format(data.get("zarr_format")) == 2:
        found = _build_metadata_v2(data, data.get("attributes", {}), path=path)
    else:
        found = _build_metadata_v3(data, path=path)
    return found


def _build_metadata_v3(data: dict[str, Any], *, path: str | None = None) -> Any:
    if "node_type" not in data:
        msg = "Required key 'node_type' is missing from the provided metadata document."
        raise MetadataValidationError(msg)
    if parse_node_type(data["node_type"]) == "array":
        return ArrayV3Metadata.from_dict(data)
    return GroupMetadata.from_dict(data, path=path)


def _build_metadata_v2(
    data: dict[str, Any], attributes: dict[str, Any], *, path: str | None = None
) -> Any:
    document = data | {"attributes": attributes}
    if "shape" in data:
        return ArrayV2Metadata.from_dict(document)
    return GroupMetadata.from_dict(document, path=path)


def node_metadata(layout: Layout | GroupLayout) -> NodeMetadata:
    """Return the metadata of a node as the facade has it."""
    if isinstance(layout, GroupLayout):
        return GroupMetadata.from_layout(layout)
    kind = ArrayV2Metadata if layout.format.number == 2 else ArrayV3Metadata
    return kind.from_layout(layout)


@dataclass(frozen=True)
class ConsolidatedMetadata:
    """The metadata of the members of a group, which for groups contains that of their members.

    >>> ConsolidatedMetadata({"a": GroupMetadata()}).to_dict()["metadata"]["a"]["node_type"]
    'group'
    """

    metadata: dict[str, Any]
    kind: Literal["inline"] = "inline"
    must_understand: Literal[False] = False

    def to_dict(self) -> dict[str, Any]:
        """Return the member ``consolidated_metadata`` of a group's document."""
        found = sorted(self.flattened_metadata.items(), key=_place)
        return {
            "kind": self.kind,
            "must_understand": self.must_understand,
            "metadata": {
                path: getattr(node, "_stored_document", None) or node.to_dict()
                for path, node in found
            },
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, path: str | None = None) -> Self:
        """Return the metadata in a group's document; ``path`` is that of the group."""
        kind = data.get("kind")
        if kind != "inline":
            msg = f"Consolidated metadata kind='{kind}' is not supported."
            raise ValueError(msg)
        given = data.get("metadata")
        if not isinstance(given, dict):
            msg = f"Unexpected type for 'metadata': {type(given)}"
            raise TypeError(msg)
        prefix = f"{path}/" if path else ""
        found = {name: parse_node(node, prefix + name) for name, node in given.items()}
        nest(found)
        return cls(metadata=found)

    @property
    def flattened_metadata(self) -> dict[str, Any]:
        """The metadata of all nodes below the group, by path.

        >>> below = ConsolidatedMetadata({"b": GroupMetadata()})
        >>> copy = ConsolidatedMetadata({"a": GroupMetadata(consolidated_metadata=below)})
        >>> list(copy.flattened_metadata)
        ['a', 'a/b']
        """
        found: dict[str, Any] = {}

        def add(prefix: str, members: Mapping[str, Any]) -> None:
            for name, node in members.items():
                path = prefix + name
                copy = node.consolidated_metadata if isinstance(node, GroupMetadata) else None
                if copy is None:
                    found[path] = node
                    continue
                found[path] = replace(node, consolidated_metadata=ConsolidatedMetadata({}))
                add(f"{path}/", copy.metadata)

        add("", self.metadata)
        return found


def nest(metadata: dict[str, Any]) -> None:
    """Move the metadata of nodes by path, in place, into that of the groups above them."""
    below: dict[str, dict[str, Any]] = {
        path: {} for path, node in metadata.items() if isinstance(node, GroupMetadata)
    }
    below[""] = {}
    for path, node in metadata.items():
        parent, _, name = path.rpartition("/")
        if parent in below:
            below[parent][name] = node
    # The deepest groups come first: those above contain them as they are then.
    for path in sorted(below, key=lambda path: -path.count("/") if path else 1):
        if path:
            parent, _, name = path.rpartition("/")
            copy = ConsolidatedMetadata(metadata=below[path])
            if parent in below:
                below[parent][name] = replace(metadata[path], consolidated_metadata=copy)
    top = below[""]
    metadata.clear()
    metadata.update(top)


def _place(item: tuple[str, Any]) -> tuple[int, str]:
    path, _ = item
    return path.count("/"), unicodedata.normalize("NFKC", path).casefold()


def nested(nodes: Mapping[str, Any]) -> ConsolidatedMetadata:
    """Return consolidated metadata from the layouts of all nodes, by path."""
    found: dict[str, Any] = {path: node_metadata(node) for path, node in nodes.items()}
    nest(found)
    return ConsolidatedMetadata(metadata=found)


@dataclass(frozen=True)
class GroupMetadata(Metadata):
    """The metadata of a group.

    >>> GroupMetadata(attributes={"units": "K"}).to_dict()
    {'attributes': {'units': 'K'}, 'zarr_format': 3, 'node_type': 'group'}
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    zarr_format: ZarrFormat = 3
    # There is no default at the class, so that `__getattr__` finds it.
    consolidated_metadata: ConsolidatedMetadata | None = field(default_factory=lambda: None)
    node_type: Literal["group"] = field(default="group", init=False)
    extra_fields: dict[str, Any] = field(default_factory=dict)

    #: What returns the consolidated metadata that nobody has asked for yet.
    _later: ClassVar[Callable[[], ConsolidatedMetadata | None] | None] = None

    def __init__(
        self,
        attributes: dict[str, Any] | None = None,
        zarr_format: ZarrFormat = 3,
        consolidated_metadata: ConsolidatedMetadata | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Initialise with the members of the document."""
        members = vars(self)
        members["attributes"] = parse_attributes(attributes)
        members["zarr_format"] = parse_zarr_format(zarr_format)
        if zarr_format == 2 and extra_fields:
            msg = f"Zarr format 2 group metadata does not support extra fields: {extra_fields}"
            raise ValueError(msg)
        members["consolidated_metadata"] = consolidated_metadata
        members["node_type"] = "group"
        members["extra_fields"] = _parse_extra(extra_fields)

    @classmethod
    def from_layout(
        cls, layout: GroupLayout, later: Callable[[], ConsolidatedMetadata | None] | None = None
    ) -> Self:
        """Return the metadata of a layout; ``later`` returns the consolidated metadata."""
        found = cls.__new__(cls)
        number: Any = layout.format.number
        vars(found).update(
            attributes=dict(layout.attributes),
            zarr_format=number,
            node_type="group",
            extra_fields=dict(layout.extra) if number == 3 else {},
        )
        if later is None:
            vars(found)["consolidated_metadata"] = None
        else:
            vars(found)["_later"] = later
        return found

    def __getattr__(self, name: str) -> Any:
        """Return the consolidated metadata of a layout, which is converted when it is needed."""
        if name == "consolidated_metadata":
            later = vars(self).pop("_later", None)
            return vars(self).setdefault(name, None if later is None else later())
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    def __getstate__(self) -> dict[str, Any]:
        """Return the members of the document."""
        names = (*GROUP_METADATA_KEYS, "extra_fields")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the members of the document."""
        vars(self).update(state)

    @property
    def layout(self) -> GroupLayout:
        """The same metadata as the engine has it."""
        copy = self.consolidated_metadata
        below = None if copy is None else copy.flattened_metadata
        return GroupLayout(
            parse_format(self.zarr_format),
            dict(self.attributes),
            None if below is None else {path: node.layout for path, node in below.items()},
            dict(self.extra_fields),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, path: str | None = None) -> Self:
        """Return the metadata in a document; ``path`` is that of the group."""
        node_type = data.get("node_type")
        if node_type not in ("group", None):
            msg = f"Invalid value for 'node_type'. Expected 'group' or None. Got {node_type!r}."
            raise NodeTypeValidationError(msg)
        copy = data.get("consolidated_metadata")
        number = data.get("zarr_format", 3)
        extra = {name: value for name, value in data.items() if name not in GROUP_METADATA_KEYS}
        return cls(
            attributes=data.get("attributes"),
            zarr_format=number,
            consolidated_metadata=ConsolidatedMetadata.from_dict(copy, path=path) if copy else None,
            extra_fields=extra if number == 3 else {},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the members of the document."""
        found = {
            "attributes": dict(self.attributes),
            "zarr_format": self.zarr_format,
            "node_type": self.node_type,
            **self.extra_fields,
        }
        copy = self.consolidated_metadata
        return found if copy is None else found | {"consolidated_metadata": copy.to_dict()}

    def to_buffer_dict(self, prototype: BufferPrototype) -> dict[str, Buffer]:
        """Return the documents of the group as buffers, by name."""
        indent = config.get("json_indent")

        def buffer(document: dict[str, Any], indent: int | None = indent) -> Buffer:
            return json_to_buffer(document, prototype=prototype, indent=indent)

        if self.zarr_format == 3:
            return {ZARR_JSON: buffer(self.to_dict())}
        own = {"zarr_format": self.zarr_format}
        found = {ZGROUP_JSON: buffer(own), ZATTRS_JSON: buffer(self.attributes)}
        copy = self.consolidated_metadata
        if copy is not None:
            layouts = {path: node.layout for path, node in copy.flattened_metadata.items()}
            layouts[""] = replace(self, consolidated_metadata=None).layout
            found[ZMETADATA_V2_JSON] = buffer(parse_format(2).write_consolidated(layouts), None)
        return found


@dataclass(frozen=True)
class ImplicitGroupMarker(GroupMetadata):
    """The metadata of a group that is created only if there is none at its path."""
