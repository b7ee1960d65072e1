"""Make redis.zip and mongodb.zip: what zarr-python 2 writes to Redis and to MongoDB.

Each member of an archive is a value, under its name in Redis or the key of its document. The names
of the fields of a document are in ``fields``. The files are under version control; run this only to
extend the hierarchy, with the ports of a Redis and a MongoDB server on this machine.

    pip install "zarr==2.18.7" "numcodecs<0.16" redis pymongo && python make_servers.py 6379 27017
"""

from __future__ import annotations

import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pymongo
import redis
import zarr

HERE = Path(__file__).parent


def fill(store: Any) -> None:
    """Write a hierarchy."""
    root = zarr.group(store, overwrite=True)
    root.attrs["title"] = "written by zarr-python 2"
    root.create_dataset("a", data=np.arange(24, dtype="<i4").reshape(4, 6), chunks=(2, 3))
    group = root.create_group("group [1]*?")
    values = group.create_dataset("b", shape=(5,), chunks=(2,), dtype="f8", fill_value=-1)
    values[:3] = 0.5
    zarr.save_array(store, np.arange(3), path="c", compressor=None)


def archive(name: str, values: dict[str, bytes]) -> None:
    """Write values to an archive."""
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED) as file:
        for key, value in sorted(values.items()):
            # A date of its own would change the file each time.
            file.writestr(zipfile.ZipInfo(key), value)


def main() -> None:
    """Write to both servers, and dump what is there."""
    warnings.simplefilter("ignore", FutureWarning)
    ports = [int(port) for port in sys.argv[1:]]
    client = redis.Redis(port=ports[0])
    client.flushall()
    fill(zarr.storage.RedisStore(prefix="my:prefix", port=ports[0]))
    archive("redis.zip", {name.decode(): client.get(name) for name in client.keys("*")})
    database = pymongo.MongoClient(port=ports[1])
    database.drop_database("mongodb_zarr")
    fill(zarr.storage.MongoDBStore(port=ports[1]))
    found = list(database["mongodb_zarr"]["zarr_collection"].find({}))
    fields = ",".join(sorted({name for one in found for name in one} - {"_id"}))
    values = {one["key"]: one["value"] for one in found}
    archive("mongodb.zip", {"fields": fields.encode(), **values})


if __name__ == "__main__":
    main()
