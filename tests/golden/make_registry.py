"""Make the files of registry/: one array for each entry of the registry, by each library that can.

Each archive ``registry/<entry>/<library>.zip`` has an array that the library wrote into an empty
one, of which only the document was given, and for codecs that round, ``expected.npy``, the values
that the library reads. Files are under version control; run this only to add some.

    pip install zarr==3.4.2 cast-value-rs pcodec zfpy==1.0.1 tensorstore==0.1.86 zarrista==0.1.0
    PYTHONPATH=.. python make_registry.py

With zarr==2.18.7 (and numcodecs[msgpack,pcodec,zfpy]==0.15.1, ml_dtypes), the files of format 2 are
written by that library, under the name zarr2.
"""

from __future__ import annotations

import importlib
import io
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from interop.registry import ENTRIES, Entry, write
from peers import PEERS, Peer

HERE = Path(__file__).parent / "registry"
# The time of the members of an archive, so that it is the same when it is made again.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main(*names: str) -> None:
    """Write the files of all entries, or of those whose names begin with one of the words."""
    zarr = importlib.import_module("zarr")
    old = zarr.__version__.startswith("2.")
    if not old:
        zarr.config.set({"array.rectilinear_chunks": True})
    for name, entry in ENTRIES.items():
        if (names and not name.startswith(names)) or (old and entry.key == "zarr.json"):
            continue
        for peer in [PEERS["zarr"]] if old else PEERS.values():
            make(name, entry, peer, HERE / name / f"{peer.name}{'2' if old else ''}.zip")


def make(name: str, entry: Entry, peer: Peer, target: Path) -> None:
    """Write the file of an entry by a library, or say why it cannot."""
    folder = Path(tempfile.mkdtemp())
    try:
        found = write(peer, entry, folder / "array")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (panics of Rust are no Exceptions)
        why = f"{name}: {peer.name}: {type(error).__name__}: {error}"
        sys.stdout.write(why[:200] + "\n")
        target.unlink(missing_ok=True)
        return
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((folder / "array").rglob("*")):
                if path.is_file():
                    key = str(path.relative_to(folder / "array"))
                    archive.writestr(zipfile.ZipInfo(key, EPOCH), path.read_bytes())
            if entry.lossy:
                data = io.BytesIO()
                np.save(data, found)
                archive.writestr(zipfile.ZipInfo("expected.npy", EPOCH), data.getvalue())
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
