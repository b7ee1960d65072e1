"""What is compared when a value is swapped in a store of objects: its ETag, and who wrote it.

Rules of this file:

* ETags of equal values are equal, so that the ids of the last conditional writes are part of a tag.
* Google compares the version of an object, which it calls its generation, and no ETag.
"""

from __future__ import annotations

from secrets import token_urlsafe
from typing import NamedTuple

# The name of the write ids among the metadata of an object: letters only, as Azure demands.
WRITE_IDS = "fastzarrwrites"
# The ids are of 8 characters; S3 allows 2 KB of metadata.
KEPT_IDS = 200


def write_id() -> str:
    """Return a new id of a write.

    >>> len(write_id())
    8
    """
    return token_urlsafe(6)


class Tag(NamedTuple):
    """The ETag of an object, and the ids of the last conditional writes that led to it.

    ``version`` is what Google compares in place of the ETag, and None elsewhere.
    """

    etag: str
    writes: tuple[str, ...] = ()
    version: str | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both are of one write; equal values have equal ETags."""
        return isinstance(other, Tag) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Return the hash of both."""
        return hash(tuple(self))

    def as_condition(self) -> dict[str, str]:
        """Return what obstore compares before it replaces the object.

        >>> Tag("a").as_condition(), Tag("a", version="12").as_condition()
        ({'e_tag': 'a'}, {'e_tag': 'a', 'version': '12'})
        """
        found = {"e_tag": self.etag}
        return found if self.version is None else found | {"version": self.version}
