"""What xarray's own tests need, some of which are run here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xarray.tests.conftest import time_unit, use_dask

if TYPE_CHECKING:
    import pytest

__all__ = ["time_unit", "use_dask"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out those cases that xarray's tests do not apply to, such as one format of two."""
    left = [item for item in items if any(map(_applies(item), item.iter_markers("skip_if_param")))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


def _applies(item: pytest.Item) -> Any:
    params = getattr(getattr(item, "callspec", None), "params", {})

    def applies(mark: pytest.Mark) -> bool:
        given = dict(mark.kwargs)
        given.pop("reason", None)
        condition = given.pop("condition", True)
        return condition and all(params.get(name) == value for name, value in given.items())

    return applies
