"""JSON documents as buffers, and in stores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastzarr.compat.core.buffer import default_buffer_prototype

if TYPE_CHECKING:
    from fastzarr.compat.core.buffer import Buffer, BufferPrototype


def buffer_to_json(buffer: Buffer) -> Any:
    """Return the value of a JSON document."""
    return json.loads(buffer.to_bytes())


def json_equal(a: Any, b: Any) -> bool:
    """Whether two values have the same JSON: 1, 1.0 and true are three different ones."""
    return json.dumps(a) == json.dumps(b)


def buffer_to_json_object(buffer: Buffer) -> dict[str, Any]:
    """Return the members of a JSON document; raise TypeError if it is not an object."""
    found = buffer_to_json(buffer)
    if not isinstance(found, dict):
        msg = f"Expected a JSON object, got {type(found).__name__}."
        raise TypeError(msg)
    return found


def json_to_buffer(
    obj: Any,
    *,
    prototype: BufferPrototype | None = None,
    indent: int | None = None,
    allow_nan: bool = True,
) -> Buffer:
    """Return a value as a JSON document."""
    kind = (prototype or default_buffer_prototype()).buffer
    return kind.from_bytes(json.dumps(obj, indent=indent, allow_nan=allow_nan).encode())


async def get_json(
    store: Any, key: str, *, prototype: BufferPrototype | None = None, byte_range: Any = None
) -> Any:
    """Return the value of the JSON document under a key, or None if the key is missing."""
    found = await store.get(key, prototype or default_buffer_prototype(), byte_range)
    return None if found is None else buffer_to_json(found)


async def set_json(
    store: Any,
    key: str,
    obj: Any,
    *,
    prototype: BufferPrototype | None = None,
    indent: int | None = None,
    allow_nan: bool = True,
) -> None:
    """Store a value as a JSON document."""
    document = json_to_buffer(obj, prototype=prototype, indent=indent, allow_nan=allow_nan)
    await store.set(key, document)
