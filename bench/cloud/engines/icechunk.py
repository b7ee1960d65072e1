"""Icechunk, whose repositories zarr-python reads and writes; a write ends with its commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import icechunk
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from bench.cloud.data import GROUPS, Remote
from bench.cloud.data import shapes as expected
from bench.cloud.engines.zarr import ZarrObstore, opened, shapes

if TYPE_CHECKING:
    from bench.base import Box
    from bench.cloud.data import Cloud
    from bench.data import Array, Shape


class Icechunk(ZarrObstore):
    """Icechunk through zarr-python."""

    name = "icechunk"
    session: Any = None

    def version(self) -> str:
        """Return the versions."""
        return f"{icechunk.__version__}, zarr {zarr.__version__}"

    def connect(self, cloud: Cloud, name: str) -> None:
        """Create the repository, unless an earlier worker has."""
        self.cloud = cloud
        place = self._at(cloud.place(name).prefix)
        if not icechunk.Repository.exists(self._storage(place, cloud.direct)):
            self._create(name, place)

    def _at(self, prefix: str) -> str:
        return f"icechunk/{prefix}"

    def _storage(self, prefix: str, endpoint: str) -> Any:
        options = self.cloud.options
        return icechunk.s3_storage(
            bucket=self.cloud.bucket,
            prefix=prefix,
            endpoint_url=endpoint,
            allow_http=True,
            force_path_style=True,
            region=options["region"],
            access_key_id=options["access_key_id"],
            secret_access_key=options["secret_access_key"],
        )

    def _create(self, name: str, prefix: str) -> None:
        repository = icechunk.Repository.create(self._storage(prefix, self.cloud.direct))
        session = repository.writable_session("main")
        if name in GROUPS:
            group = zarr.open_group(session.store, mode="w")
            for member, shape in expected(name).items():
                group.create_array(member, shape=shape, chunks=(10,), dtype="f4")
        else:
            document = json.dumps(self.cloud.place(name).document()).encode()
            value = default_buffer_prototype().buffer.from_bytes(document)
            sync(session.store.set("zarr.json", value))
            if name != "write":
                zarr.open_array(session.store, mode="r+")[...] = self.cloud.values(name)
        session.commit("created")

    def fresh(self, name: str, number: str) -> Remote:
        """Create a repository."""
        place = Remote(self.cloud.bucket, f"fresh/{name}-{number}")
        self._create(name, self._at(place.prefix))
        return place

    def _opened(self, place: Remote, *, write: bool = False) -> Any:
        storage = self._storage(self._at(place.prefix), self.cloud.proxied)
        repository = icechunk.Repository.open(storage)
        if write:
            self.repository = repository
            self.session = repository.writable_session("main")
            return self.session.store
        return repository.readonly_session("main").store

    def open(self, place: Remote, *, write: bool = False) -> Any:  # type: ignore[override]
        """Open a repository and its array."""
        return opened(self._opened(place, write=write), "", write=write)

    def arrays(self, place: Remote) -> dict[str, Shape]:
        """Return the names and shapes of the arrays in a group."""
        return shapes(zarr.open_group(self._opened(place), mode="r"))

    def write(self, array: Any, box: Box, value: Array) -> None:
        """Write a box."""
        array[box] = value
        self.session.commit("written")

    def append(self, array: Any, value: Array) -> Any:
        """Append along the first axis; a session ends with its commit."""
        if self.session.read_only:
            self.session = self.repository.writable_session("main")
            array = zarr.open_array(self.session.store, mode="r+")
        array.append(value)
        self.session.commit("appended")
        return array
