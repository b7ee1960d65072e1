"""zarr-python's functions, as awaitables and as plain calls."""

from fastzarr._lazy import make_lazy

__getattr__, __dir__ = make_lazy(__name__, {"": ("asynchronous", "synchronous")})
