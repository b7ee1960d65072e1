"""Which module of the facade answers to a name of zarr-python.

Most modules of zarr-python have a file of the same name in this folder. The table below has the
others: modules of which programs import names that the facade defines elsewhere.
"""

from __future__ import annotations

PACKAGE = "zarr"
FACADE = __name__.rpartition(".")[0]

#: Modules without a file of their own, each with the one that has their names.
ALIASES: dict[str, str] = {
    "buffer.cpu": "core.buffer.cpu",
    "buffer.gpu": "core.buffer.gpu",
}


def module_of(name: str) -> str:
    """Return the name of the module of the facade that is ``zarr`` or ``zarr.x.y``.

    >>> module_of("zarr.core.array")
    'fastzarr.compat.core.array'
    """
    inside = name.removeprefix(PACKAGE).removeprefix(".")
    inside = ALIASES.get(inside, inside)
    return f"{FACADE}.{inside}" if inside else FACADE


def known_as(module: str) -> str:
    """Return the name in zarr-python of a module of the facade.

    >>> known_as("fastzarr.compat.core.array")
    'zarr.core.array'
    """
    return PACKAGE + module.removeprefix(FACADE)
