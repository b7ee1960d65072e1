"""The classes of buffers by their names, of which the configuration chooses one."""

from __future__ import annotations

from typing import Any, TypeVar

from fastzarr.compat.core.config import config

C = TypeVar("C", bound=type)


class _Classes:
    """Classes of one kind by their names."""

    def __init__(self, setting: str) -> None:
        self.setting = setting
        self.found: dict[str, Any] = {}

    def chosen(self) -> Any:
        name = config.get(self.setting)
        if name not in self.found:
            msg = f"no class is registered as {name!r}, which the configuration names"
            raise KeyError(msg)
        return self.found[name]


BUFFERS = _Classes("buffer")
NDBUFFERS = _Classes("ndbuffer")


def qualified(cls: type) -> str:
    """Return the module and the name of a class, as zarr-python has it."""
    facade = __name__.removesuffix(".core.buffer.classes")
    module = cls.__module__
    if f"{module}.".startswith(f"{facade}."):
        module = "zarr" + module.removeprefix(facade)
    return f"{module}.{cls.__qualname__}"


def register_buffer(cls: C, qualname: str | None = None) -> C:
    """Let the configuration name a class of buffers."""
    BUFFERS.found[qualname or qualified(cls)] = cls
    return cls


def register_ndbuffer(cls: C, qualname: str | None = None) -> C:
    """Let the configuration name a class of buffers of several axes."""
    NDBUFFERS.found[qualname or qualified(cls)] = cls
    return cls


def get_buffer_class(reload_config: bool = False) -> Any:
    """Return the class of buffers that the configuration names."""
    del reload_config
    return BUFFERS.chosen()


def get_ndbuffer_class(reload_config: bool = False) -> Any:
    """Return the class of buffers of several axes that the configuration names."""
    del reload_config
    return NDBUFFERS.chosen()
