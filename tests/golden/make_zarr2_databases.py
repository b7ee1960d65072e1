"""Make zarr2_databases.zip: a hierarchy that zarr-python 2 wrote to each of its databases.

The file is under version control; run this only to extend the hierarchy.

    pip install "zarr==2.18.7" "numcodecs<0.16" lmdb && python make_zarr2_databases.py
"""

from __future__ import annotations

import dbm.dumb
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr

HERE = Path(__file__).parent


def fill(store: Any) -> None:
    """Write a hierarchy, and change it, as programs do."""
    root = zarr.group(store, overwrite=True)
    root.attrs["made by"] = "zarr-python 2"
    root.array("a_b/x", np.arange(40, dtype="i4").reshape(5, 8), chunks=(2, 4), fill_value=-1)
    root.array("axb/y", np.linspace(0, 1, 7), chunks=3, compressor=None)
    root.array("axb/text", np.array(["", "a", "\u00e9"], "U2"), chunks=2, dimension_separator="/")
    root.full("missing", shape=(6,), chunks=2, fill_value=7, dtype="u1")[2:4] = 9
    root["a_b/x"][0, 0] = 100
    root["a_b"].attrs["n"] = 1
    root["a_b"].attrs["n"] = 2


def main() -> None:
    """Write the archive."""
    warnings.simplefilter("ignore", FutureWarning)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        stores = {
            "a.sqldb": zarr.SQLiteStore(str(top / "a.sqldb")),
            "a.lmdb": zarr.LMDBStore(str(top / "a.lmdb"), map_size=1 << 24, writemap=False),
            "file.mdb": zarr.LMDBStore(
                str(top / "file.mdb"), map_size=1 << 24, writemap=False, subdir=False
            ),
            "dumb": zarr.DBMStore(str(top / "dumb"), open=dbm.dumb.open),
        }
        for store in stores.values():
            fill(store)
            store.close()
        with zipfile.ZipFile(HERE / "zarr2_databases.zip", "w", zipfile.ZIP_DEFLATED) as made:
            for path in sorted(top.rglob("*")):
                if path.is_file() and "lock" not in path.name:
                    name = path.relative_to(top).as_posix()
                    made.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
