"""How long does it take to create arrays in a group, and to list them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.base import Engine, Row, Task, WrongError

if TYPE_CHECKING:
    from bench.data import Place, Workspace

COUNT = 300


def zarr_shapes(place: Place) -> dict[str, Any]:
    """Return the names and shapes of the arrays in a Zarr group."""
    import zarr

    folders = (document.parent for document in place.folder.glob("*/zarr.json"))
    return {folder.name: zarr.open_array(str(folder), mode="r").shape for folder in folders}


def hdf_shapes(place: Place) -> dict[str, Any]:
    """Return the names and shapes of the arrays in an HDF5 file."""
    import h5py

    with h5py.File(place.file) as file:
        return {name: node.shape for name, node in file.items()}


class Create(Task):
    """Create small arrays of different sizes in an empty group."""

    place: Place

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Choose the names and the sizes."""
        super().__init__(engine, work)
        self.sizes = {f"a{number:03d}": 10 + number for number in range(COUNT)}

    def prepare(self) -> None:
        """Create the group."""
        self.place = self.work.group()

    def run(self) -> Any:
        """Create the arrays."""
        self.engine.create_arrays(self.place, self.sizes)

    def check(self, result: Any) -> None:
        """Open each array with zarr-python, or h5py's own file with h5py."""
        del result
        shapes = hdf_shapes(self.place) if self.place.file.exists() else zarr_shapes(self.place)
        if shapes != {name: (size,) for name, size in self.sizes.items()}:
            msg = f"{len(shapes)} arrays, expected {COUNT} of different sizes"
            raise WrongError(msg)

    def tidy(self) -> None:
        """Remove the group."""
        self.work.remove(self.place)


class List(Create):
    """Open a group and list the arrays in it."""

    def __init__(self, engine: Engine, work: Workspace) -> None:
        """Create the arrays."""
        super().__init__(engine, work)
        self.group = work.group()
        engine.create_arrays(self.group, self.sizes)

    def prepare(self) -> None:
        """Do nothing: all runs list the same group."""
        self.place = self.group

    def run(self) -> Any:
        """List the arrays."""
        return self.engine.list_arrays(self.place)

    def check(self, result: Any) -> None:
        """Compare the names."""
        if sorted(result) != [*self.sizes]:
            msg = f"{len(result)} names, expected {COUNT}"
            raise WrongError(msg)

    def tidy(self) -> None:
        """Keep the group."""


ROWS = [
    Row("create-arrays", f"create {COUNT} arrays in a group", Create),
    Row("list-arrays", f"open a group and list its {COUNT} arrays", List),
]
