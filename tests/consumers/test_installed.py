"""Suites that come with packages of this environment pass with fastzarr in the place of zarr.

``make consumers`` runs many more, of newer versions, and with zarr-python, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sites
from consumers import compared

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """A suite, how many of its tests pass at least, and those that fail, with the reasons."""

    name: str
    arguments: tuple[str, ...]
    least: int
    failing: Mapping[str, str] = field(default_factory=dict)


MARK = "the mark that skips it for format 2 or 3 is defined in a file that xarray does not install"
SUITES = [
    Installed(
        "dask",
        ("dask.array.tests.test_array_core", "-k", "zarr"),
        least=30,
        failing={
            "*::test_zarr_risky_shards_warns": "it needs dask's settings for pytest: by them, "
            "warnings are errors; it fails with zarr-python, too"
        },
    ),
    Installed(
        "xarray",
        ("xarray.tests.test_backends", "-k", "TestZarrDictStore and not async"),
        least=328,
        failing={
            "*::test_dimension_names[[]2]": MARK,
            "*::test_hidden_zarr_keys[[]3]": MARK,
            "*::test_shard_encoding_with_dask[[]2]": MARK,
            "*::test_zarr_fill_value_in_encoding_on_read[[]2]": MARK,
        },
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> sites.Site:
    return sites.make(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suite(site: sites.Site, suite: Installed, tmp_path: Path):
    path = tmp_path / "outcomes"
    words = ["-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    words += ["-p", "consumers.record", "--continue-on-collection-errors", "--pyargs"]
    done = site.run(
        *words,
        *suite.arguments,
        cwd=tmp_path,
        FASTZARR_AS_ZARR="1",
        CONSUMERS_OUTCOMES=str(path),
        PYTHONPATH=str(TESTS),
    )
    outcomes = compared.read(path)
    failed = {test for test, found in outcomes.items() if found.outcome == compared.BAD}
    new = [test for test in failed if not any(fnmatchcase(test, name) for name in suite.failing)]
    assert not new, done.stdout[-20_000:]
    gone = [name for name in suite.failing if not any(fnmatchcase(test, name) for test in failed)]
    assert not gone, "they pass: remove them from the table"
    assert len(compared.passed(outcomes)) >= suite.least, done.stdout[-2_000:]
