"""What zarr-python offers as experimental."""

from fastzarr._lazy import make_lazy

__getattr__, __dir__ = make_lazy(
    __name__, {"..core.chunk_grids": ("ChunkGrid", "ChunkSpec"), "": ("cache_store",)}
)

__all__ = ["ChunkGrid", "ChunkSpec"]
