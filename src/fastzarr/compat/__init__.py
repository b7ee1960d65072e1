"""zarr-python 3.4.2's public names, over fastzarr.

The modules of this package have the names of those of zarr-python, and ``fastzarr.as_zarr`` puts
them in their place: ``zarr.storage`` is then the module ``fastzarr.compat.storage`` itself. Classes
hold an object of fastzarr and give it the methods, defaults, warnings and errors of zarr-python.

Nothing outside this package and the packages that install it imports it.
"""

from fastzarr._lazy import make_lazy
from fastzarr.compat._version import version

__version__ = version

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "": (
            *("abc", "api", "buffer", "codecs", "core", "dtype", "errors", "experimental"),
            *("metadata", "registry", "storage", "testing", "types"),
        ),
        ".core.array": ("Array", "AsyncArray"),
        ".core.config": ("config",),
        ".core.group": ("AsyncGroup", "Group"),
        ".api.synchronous": (
            *("array", "consolidate_metadata", "copy", "copy_all", "copy_store", "create"),
            *("create_array", "create_group", "create_hierarchy", "empty", "empty_like"),
            *("from_array", "full", "full_like", "group", "load", "ones", "ones_like", "open"),
            *("open_array", "open_consolidated", "open_group", "open_like", "save"),
            *("save_array", "save_group", "tree", "zeros", "zeros_like"),
        ),
        ".diagnostics": ("print_debug_info", "set_format", "set_log_level"),
    },
)

__all__ = [
    "Array",
    "AsyncArray",
    "AsyncGroup",
    "Group",
    "__version__",
    "array",
    "config",
    "consolidate_metadata",
    "copy",
    "copy_all",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "empty",
    "empty_like",
    "from_array",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_like",
    "print_debug_info",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]
