"""The commands that a store in Redis sends: their names of keys, their scripts and their bytes.

Rules of this file:

* A script that changes values begins with all that may fail. It also remembers for some time what
  it has done. If its reply was lost, it is sent again, and does not change them twice.
* Large values are sent from where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fastzarr.stores.base import Range

    Words = tuple[Any, ...]
    # The names of a value and of its id, its new value or None, and the token of the old one.
    Swap = tuple[bytes, bytes, bytes | memoryview | None, Any]

# Longer arguments of a command are not copied.
_COPIED = 1 << 15

# KEYS: the value, its id. ARGV: pairs of a start and a length, which may be empty.
_PARTS = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local size = redis.call('STRLEN', KEYS[1])
local found = {redis.call('GET', KEYS[2]), size}
for i = 1, #ARGV, 2 do
  local first, last = tonumber(ARGV[i]), size - 1
  if first < 0 then first = math.max(size + first, 0) end
  if ARGV[i + 1] ~= '' then last = math.min(last, first + tonumber(ARGV[i + 1]) - 1) end
  found[#found + 1] = first > last and '' or redis.call('GETRANGE', KEYS[1], first, last)
end
return found
"""
# KEYS: the value, its id.
_LOOK = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local id = redis.call('GET', KEYS[2])
return id or 'sha1:' .. redis.sha1hex(redis.call('GET', KEYS[1]))
"""
# KEYS: the record of these swaps, and for each its value and its id. ARGV: the id of these writes,
# how many milliseconds they are remembered, and for each its token (empty for a missing key), the
# word SET or DEL, and the new value. The reply has 1 for each that was made, or 0.
_SWAP = """
local made = redis.call('GET', KEYS[1])
if made then return made end
made = {}
for i = 1, (#KEYS - 1) / 2 do
  local name, token = KEYS[2 * i], ''
  if redis.call('EXISTS', name) == 1 then
    token = redis.call('GET', KEYS[2 * i + 1])
      or 'sha1:' .. redis.sha1hex(redis.call('GET', name))
  end
  made[i] = token == ARGV[3 * i] and '1' or '0'
end
for i = 1, #made do
  local name, beside = KEYS[2 * i], KEYS[2 * i + 1]
  if made[i] == '1' and ARGV[3 * i + 1] == 'SET' then
    redis.call('MSET', name, ARGV[3 * i + 2], beside, ARGV[1])
  elseif made[i] == '1' then
    redis.call('DEL', name, beside)
  end
end
made = table.concat(made)
if string.find(made, '1') then redis.call('SET', KEYS[1], made, 'PX', ARGV[2]) end
return made
"""


def name_beside(name: bytes) -> bytes:
    """Return the name of the id of a value, in the same slot of a cluster.

    >>> name_beside(b"zarr:a")
    b'fastzarr{zarr:a}zarr:a'
    """
    start = name.find(b"{")
    end = name.find(b"}", start + 1)
    tag = name[start + 1 : end] if start >= 0 and end > start + 1 else name
    return b"fastzarr{" + tag + b"}" + name


def parts(name: bytes, beside: bytes, ranges: Iterable[Range]) -> Words:
    """Return the command that reads parts of a value: None, or its id, its size and the parts."""
    words = [word for start, length in ranges for word in (start, "" if length is None else length)]
    return "EVAL", _PARTS, 2, name, beside, *words


def token(name: bytes, beside: bytes) -> Words:
    """Return the command that reads the token of a value, or None."""
    return "EVAL", _LOOK, 2, name, beside


def record(mine: str, changes: Sequence[Swap]) -> bytes:
    """Return the name under which the server remembers which of these swaps it has made."""
    return changes[0][1] + mine.encode()


def swaps(mine: str, kept: int, changes: Sequence[Swap]) -> Words:
    """Return the command that compares and swaps values, whose id is then ``mine``.

    It is not repeated for ``kept`` milliseconds.
    """
    names = [record(mine, changes)]
    words: list[Any] = [mine, kept]
    for name, beside, value, old in changes:
        names += name, beside
        words += (old or "", "DEL", "") if value is None else (old or "", "SET", value)
    return "EVAL", _SWAP, len(names), *names, *words


class Packer:
    """Makes the bytes of commands for the client of the package redis.

    >>> sent = Packer(str.encode).pack("GET", b"zarr:a")
    >>> sent[0].split()
    [b'*2', b'$3', b'GET', b'$6', b'zarr:a']
    """

    def __init__(self, encode: Callable[[Any], bytes | memoryview]) -> None:
        """Initialise with the client's function that makes bytes of arguments."""
        self._encode = encode

    def pack(self, *words: Any) -> list[bytes | memoryview]:
        """Return the bytes of a command in pieces, of which large values are one each."""
        # The client has commands with a space.
        words = (*words[0].split(), *words[1:])
        sent: list[bytes | memoryview] = []
        pieces: list[bytes | memoryview] = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if type(word) is bytes else self._encode(word)
            size = len(data)
            if size > _COPIED:
                pieces.append(b"$%d\r\n" % size)
                sent += b"".join(pieces), data
                pieces = [b"\r\n"]
            else:
                pieces += b"$%d\r\n" % size, data, b"\r\n"
        sent.append(b"".join(pieces))
        return sent
