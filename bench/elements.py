"""How long does it take to read and write numbers that a codec changes?

Each engine reads the files that it has written itself, because no engine has all of these codecs.
The tests compare the bytes.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base import CannotError, Engine, Row, Task, same, whole

if TYPE_CHECKING:
    from bench.data import Array, Place, Workspace

_SCALE = {"name": "scale_offset", "configuration": {"offset": 0.0, "scale": 128.0}}
_CAST = {"name": "cast_value", "configuration": {"data_type": "int16"}}
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CODECS: dict[str, tuple[str, list[Any]]] = {
    "bitround": ("bitround", [{"name": "bitround", "configuration": {"keepbits": 12}}, _BYTES]),
    "scale": ("scale_offset", [_SCALE, _BYTES]),
    "cast": ("scale_offset, cast_value to int16", [_SCALE, _CAST, _BYTES]),
    "packbits": ("packbits of truth values", [{"name": "packbits"}]),
}


class WriteElements(Task):
    """Write a whole array without compression."""

    place: Place
    array: Any

    def __init__(self, engine: Engine, work: Workspace, codec: str) -> None:
        """Load the values into memory."""
        super().__init__(engine, work)
        if engine.name == "h5py":
            msg = "has no such codec"
            raise CannotError(msg)
        self.codec = codec
        self.value: Array = np.array(work.expected)
        if codec == "packbits":
            self.value = self.value > np.float32(15)

    def prepare(self) -> None:
        """Create a new folder and open the array in it."""
        self.place = self.work.empty("none64")
        document = self.place.layout.document(self.place.shape)
        document["codecs"] = _CODECS[self.codec][1]
        if self.value.dtype == np.bool_:
            document |= {"data_type": "bool", "fill_value": False}
        (self.place.folder / "zarr.json").write_text(json.dumps(document))
        try:
            self.array = self.engine.open(self.place, write=True)
        except Exception as error:  # each engine raises another one for a codec that it lacks
            self.work.remove(self.place)
            msg = f"cannot open the array ({type(error).__name__})"
            raise CannotError(msg) from error

    def run(self) -> Any:
        """Write the array."""
        self.engine.write(self.array, whole(self.place.shape), self.value)

    def check(self, result: Any) -> None:
        """Read the array back."""
        del result
        array = self.engine.open(self.place)
        same(self.engine.read(array, whole(self.place.shape)), self.value)

    def tidy(self) -> None:
        """Remove the folder."""
        del self.array
        self.work.remove(self.place)


class ReadElements(WriteElements):
    """Read a whole array without compression into newly allocated memory."""

    def prepare(self) -> None:
        """Write the array and open it again."""
        super().prepare()
        super().run()
        self.array = self.engine.cold(self.engine.open(self.place))

    def run(self) -> Any:
        """Read the array."""
        return self.engine.read(self.array, whole(self.place.shape))

    def check(self, result: Any) -> None:
        """Compare the result with the values written."""
        same(result, self.value)


ROWS = [
    Row(f"elements-{verb}-{name}", f"{verb} all: 64³, {title}", partial(task, codec=name))
    for name, (title, _) in _CODECS.items()
    for verb, task in (("read", ReadElements), ("write", WriteElements))
]
