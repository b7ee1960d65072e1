"""Compilation of codec chains, for Python and for the extension.

Rules of this file:

* The extension receives only plain data: sizes, orders of axes, names and numbers of codecs.
* A chain that the extension does not implement as a whole runs in Python as a whole.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fastzarr.codecs.program import Program
from fastzarr.codecs.transpose import TransposeCodec
from fastzarr.config import config
from fastzarr.errors import MetadataError
from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr.codecs.base import ChunkSpec, Codec, Native
    from fastzarr.codecs.program import Shard

lenience = itemgetter("array.read_padded_chunks", "array.verify_checksums", "limits.chunk_bytes")
"""Return the settings that a program of the extension is made with."""


def compile_chain(codecs: Sequence[Codec], spec: ChunkSpec) -> Program:
    """Return the program of a resolved chain, with its native program if available."""
    program = Program(codecs, spec)
    compile_native(program)
    return program


def compile_native(program: Program) -> None:
    """Make the program of the extension, if available, with the settings in force."""
    settings = None
    # Another thread may change them meanwhile.
    while settings is not config.flat:
        settings = config.flat
        described = None if extension is None else describe(program)
        program.native = None if described is None else extension.Program(described)
        program.lenient = lenience(settings)


def describe(program: Program) -> dict[str, Any] | None:
    """Return the description of a program for the extension, or None if it cannot run there.

    The extension handles elements of fixed size, transposes, ``sharding_indexed``, and the codecs
    whose ``native_typed``, ``native_bytes`` or ``native`` is not None.
    """
    spec, found = program.spec, _describe_arrays(program)
    item = spec.dtype.itemsize
    codecs: list[Any] = [codec.native() for codec, _ in program.byte_steps]
    if found is None or not item or None in codecs:
        return None
    (order, typed), shard = found, None
    if program.shard is not None:
        shard = _describe_shard(program.shard)
        if shard is None:
            return None
    else:
        encoded = program.serializer.native_bytes(program.serializer_spec)
        if encoded is None:
            return None
        typed, codecs = typed + encoded[0], encoded[1] + codecs
    return {
        "item": item,
        "shape": spec.shape,
        "order": order,
        "fill": program.fill.tobytes(),
        "sparse": spec.fill is not None,
        "typed": typed,
        "codecs": codecs,
        "shard": shard,
    }


def is_shapeless(program: Program) -> bool:
    """Whether the program of the extension fits chunks of any shape, but for their memory."""
    if program.shapeless is None:
        try:
            other = program.of_shape(tuple([2 * size for size in program.spec.shape]))
        except MetadataError:
            program.shapeless = False
        else:
            mine, theirs = describe(program), describe(other)
            program.shapeless = _without_shapes(mine) == _without_shapes(theirs)
    return program.shapeless


def _without_shapes(described: dict[str, Any] | None) -> dict[str, Any]:
    return {
        name: _without_shapes(value) if isinstance(value, dict) else value
        for name, value in (described or {}).items()
        if name not in ("shape", "index_size")
    }


def _describe_arrays(program: Program) -> tuple[tuple[int, ...], list[Native]] | None:
    """Return the stored order of the axes and the codecs of elements, or None.

    The order is that of the strides of a decoded chunk. Codecs that encode each element by itself
    need not know it. Others, and a ``reshape``, get the elements in the order of the transposes
    before them, so the order may not change after them.
    """
    order, typed, fixed = tuple(range(len(program.spec.shape))), [], False
    for codec, spec in program.array_steps:
        if codec.reshapes:
            fixed |= codec.encoded_spec(spec).shape != spec.shape
        elif isinstance(codec, TransposeCodec):
            turned = tuple(codec.order)
            if fixed and turned != tuple(range(len(turned))):
                return None
            order = order if fixed else tuple(order[axis] for axis in turned)
        else:
            found = codec.native_typed(spec)
            if found is None:
                return None
            typed += found
            fixed |= not codec.elementwise
    if not fixed:
        return program.serializer.stored_order(order), typed
    axes = tuple(range(len(program.serializer_spec.shape)))
    return (order, typed) if program.serializer.stored_order(axes) == axes else None


def _describe_shard(shard: Shard) -> dict[str, Any] | None:
    inner, index = describe(shard.inner), describe(shard.index)
    if inner is None or index is None:
        return None
    if index["order"] != tuple(range(len(index["order"]))):
        # The extension reads and writes the entries of an index in their order.
        return None
    return {
        "inner": inner,
        "shape": shard.spec.shape,
        "inner_shape": shard.grid.steps,
        "axes": shard.axes,
        "index": index,
        "index_size": shard.index_size,
        "at_start": shard.at_start,
    }
