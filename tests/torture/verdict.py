"""Rows of the table from counts: how many were tried and failed, here and with zarr-python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torture.frame import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The number of tries, and the number of failures.
Count = tuple[int, int]


def total(counts: Iterable[Count]) -> Count:
    """Return the sum of counts."""
    tried, bad = zip(*counts, strict=True)
    return sum(tried), sum(bad)


def counted(
    promise: int,
    what: str,
    ours: Count,
    control: Count | None,
    goal: int,
    word: str = "bad",
    note: str = "",
    bad: Sequence[str] = (),
) -> Row:
    """Return a row: at least ``goal`` tries without a failure, and a failure of the control."""
    said = f"{ours[1]:,} {word} of {ours[0]:,}"
    good = not ours[1] and (control is None or control[1] > 0)
    return Row(
        promise=promise,
        what=what,
        ours=f"{said} ({note})" if note else said,
        control="" if control is None else f"{control[1]:,} {word} of {control[0]:,}",
        goal=f"0 of {goal:,}",
        kept=good and ours[0] >= goal,
        bad=tuple(bad[:5]),
        few=good and ours[0] < goal,
    )
