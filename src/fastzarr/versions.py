"""The version of the package, and the versions of its environment."""

from __future__ import annotations

__version__ = "0.1.0"

_OTHERS = ("numpy", "numcodecs", "ml_dtypes", "h5py", "xarray", "dask", "zarr")


def show_versions() -> None:
    """Print the versions to include in a bug report, one on each line.

    The second line tells whether the native extension is used.

    >>> show_versions()
    fastzarr ...
    """
    print(_versions())  # noqa: T201  (printing is the purpose)


def _versions() -> str:
    import platform
    from importlib import metadata

    lines = [
        f"fastzarr   {__version__}",
        f"data path  {_data_path()}",
        f"python     {platform.python_version()}",
        f"platform   {platform.platform()}",
    ]
    for name in _OTHERS:
        try:
            lines.append(f"{name:<10} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name:<10} not installed")
    return "\n".join(lines)


def _data_path() -> str:
    from fastzarr.config import config
    from fastzarr.native import extension

    if extension is None:
        return "NumPy (the native extension is not built)"
    return "NumPy (as configured)" if config["data_path"] == "numpy" else "native extension"


def print_debug_info() -> None:
    """Print the versions to include in a bug report (zarr-python's function).

    >>> import fastzarr as zarr
    >>> zarr.print_debug_info()  # doctest: +ELLIPSIS
    fastzarr ...
    """
    show_versions()
