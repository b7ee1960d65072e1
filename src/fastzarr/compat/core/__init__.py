"""The modules ``zarr.core.*`` that libraries import."""

from fastzarr._lazy import make_lazy

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "": (
            *("array", "array_spec", "attributes", "buffer", "chunk_grids", "chunk_key_encodings"),
            *("codec_pipeline", "common", "config", "dtype", "group", "indexing", "metadata"),
            *("sync", "sync_group"),
        ),
        ".buffer": ("Buffer", "NDBuffer"),
        ".codec_pipeline": ("BatchedCodecPipeline",),
    },
)
