"""The log of a copy."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol, TypeAlias

    class Writable(Protocol):
        """A file that text is written to."""

        def write(self, text: str, /) -> object:
            """Write text."""

    Log: TypeAlias = Callable[[str], object]
    LogLike: TypeAlias = Log | Writable | str | None


def close_log(
    tell: Log,
    copied: int,
    skipped: int,
    size: int,
    *,
    dry_run: bool,
    left_out: int = 0,
    whole: bool = True,
) -> None:
    """Write the final line of the log; ``whole`` is False if the copy has failed."""
    line = f"{copied} copied, {skipped} skipped"
    line += f", {left_out} left out" if left_out else ""
    done = "all done" if whole else "not completed"
    tell(f"dry run: {line}" if dry_run else f"{done}: {line}, {size:,} bytes copied")


@contextmanager
def open_log(log: Any) -> Iterator[Log]:
    """Yield a callable that writes a line to ``log``."""
    if log is None:
        yield lambda _: None
    elif callable(log):
        yield log
    elif hasattr(log, "write"):
        yield lambda line: print(line, file=log)
    elif isinstance(log, str):
        from pathlib import Path

        with Path(log).open("a", encoding="utf-8") as file:
            yield lambda line: print(line, file=file)
    else:
        msg = f"log must be a callable, a file or the name of a file, not {log!r}"
        raise TypeError(msg)
