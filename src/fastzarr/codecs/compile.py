"""Compilation of codec chains, for Python and for the extension.

Rules of this file:

* The extension receives only plain data: sizes, strides, and the names and numbers of codecs.
* A chain that the extension does not implement as a whole runs in Python as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.codecs.program import Program
from fastzarr.config import config
from fastzarr.native import extension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastzarr.codecs.base import ChunkSpec, Codec
    from fastzarr.codecs.program import Shard


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
        program.padded = settings["array.read_padded_chunks"]


def describe(program: Program) -> dict[str, Any] | None:
    """Return the description of a program for the extension, or None if it cannot run there.

    The extension handles elements of fixed size, transposes, ``bytes``, ``sharding_indexed``, and
    the codecs whose ``native`` is not None.
    """
    spec, order = program.spec, program.order
    item = spec.dtype.itemsize
    codecs: list[Any] = [codec.native() for codec, _ in program.byte_steps]
    if order is None or not item or None in codecs:
        return None
    swap, shard = 0, None
    if program.shard is not None:
        shard = _describe_shard(program.shard)
        if shard is None:
            return None
    else:
        found = program.serializer.native_bytes(program.serializer_spec)
        if found is None:
            return None
        swap, codecs = found[0], found[1] + codecs
        if program.reshaped:
            # Elements are stored in the order that they have before they are given other axes.
            axes = tuple(range(len(program.serializer_spec.shape)))
            if program.serializer.stored_order(axes) != axes:
                return None
        else:
            order = program.serializer.stored_order(order)
    strides = [0] * len(order)
    step = item
    for axis in reversed(order):
        strides[axis] = step
        step *= spec.shape[axis]
    return {
        "item": item,
        "shape": spec.shape,
        "strides": strides,
        "fill": program.fill.tobytes(),
        "sparse": spec.fill is not None,
        "swap": swap,
        "boolean": spec.dtype.numpy.kind == "b",
        "codecs": codecs,
        "shard": shard,
    }


def _describe_shard(shard: Shard) -> dict[str, Any] | None:
    inner, index = describe(shard.inner), describe(shard.index)
    if inner is None or index is None:
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
