"""Test suites and strategies for stores, under the names of zarr-python."""

from typing import Any

from fastzarr._lazy import make_lazy

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        ".store": ("StoreTests",),
        ".utils": ("assert_bytes_equal",),
        "": ("buffer", "stateful", "store", "strategies", "utils"),
    },
)

__all__ = ["StoreTests", "assert_bytes_equal"]


def pytest_configure(config: Any) -> None:
    """Declare the marker that these suites use, as a plugin of pytest."""
    config.addinivalue_line("markers", "gpu: mark a test as requiring CuPy and GPU")
