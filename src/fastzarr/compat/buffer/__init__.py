"""The buffers of the host, and those of a graphics processor."""

from fastzarr.compat.core.buffer import cpu, default_buffer_prototype, gpu

__all__ = ["cpu", "default_buffer_prototype", "gpu"]
