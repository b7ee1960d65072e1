"""Make FORMATS.md: who reads what fastzarr writes, and whose files it reads.

Run it after make_registry.py, with the same versions of the other libraries:

    PYTHONPATH=.. python make_page.py

What the page says of fastzarr is what interop/test_registry.py tests; what it says of the others
was found when it was made.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from interop.registry import ENTRIES, Entry, same, write
from peers import HERE, PEERS

GOLDEN = Path(__file__).parent / "registry"
PAGE = Path(__file__).parent.parent.parent / "FORMATS.md"
TITLES = {
    "data type": "Data types",
    "codec": "Codecs",
    "grid": "Chunk grids",
    "keys": "Chunk key encodings",
    "format 2": "Format 2",
}
LIBRARIES = {"tensorstore": "TensorStore", "zarr": "zarr-python", "zarr2": "zarr-python 2"}
INTRODUCTION = """# What is read and written

Each row is a small array that uses one entry of the registry of extensions
([zarr-extensions](https://github.com/zarr-developers/zarr-extensions)) or of the core
specification, or one feature of format 2.

- *Files of* names the libraries that could write it. What they wrote is in `tests/golden/registry`,
  and fastzarr reads it whole and in part, with the extension and without it.
- *Read by* names the libraries that read what fastzarr writes.
- An entry in brackets is a spelling that others write. fastzarr reads and updates such arrays, and
  makes new ones with the registered spelling.

`tests/golden/make_page.py` made this page with {versions}.
The files of zarr-python 2 are those of 2.18.7. Files of GDAL 3.6.2 (`tests/golden/gdal.zip`), of N5
(`n5.zip`) and of the databases of zarr-python 2 are read, too.

The `lz4` of N5 is what the library of the format, n5-java, writes: the block stream of lz4-java
(`LZ4BlockOutputStream`), whose blocks have a header of 21 bytes that begins with `LZ4Block`. This
is what fastzarr writes. Two libraries store something else under this name, which n5-java cannot
read: z5 (z5py) a bare LZ4 block, and zarr-python 2 a bare block behind its decoded size, where
`compression` has a member `acceleration`. fastzarr reads all three, and writes to arrays of
zarr-python 2 in their way. z5 cannot read the stream: neither arrays with `lz4` that fastzarr or
n5-java have made, nor blocks that fastzarr writes to an array of z5. TensorStore has no `lz4` in
N5.

Entries that none of these libraries knows are compared with what their specifications say, byte by
byte, in the tests of the codec or of the key encoding.

Not read are proposals to zarr-extensions that have not been registered, because their names and
bytes may still change: the data types `binary_fixed_point` and of fixed point (`N0f8` ...), the
codecs `arrow-ipc`, `jpeg`, `jpegxl`, `label_multiset`, `lzw`, `n5_varlen`, `nanovdb`, `pad` and
`vlen-ndarray`, and the key encoding `template`. A package can add them by an entry point.
"""


def readers(entry: Entry, folder: Path) -> list[str]:
    """Return the libraries that read what fastzarr writes."""
    written = write(HERE, entry, folder / "array")
    found = []
    for peer in PEERS.values():
        try:
            if same(peer.read(folder / "array").values, written):
                found.append(peer.name)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001, S112  (panics of Rust are no Exceptions)
            continue
    return found


def main() -> None:
    """Write the page."""
    importlib.import_module("zarr").config.set({"array.rectilinear_chunks": True})
    version = importlib.metadata.version
    known = [f"{LIBRARIES.get(name, name)} {version(name)}" for name in PEERS]
    lines = [INTRODUCTION.format(versions=", ".join(known))]
    for kind, title in TITLES.items():
        lines += [f"## {title}", "", "| entry | files of | read by |", "| --- | --- | --- |"]
        for name, entry in ENTRIES.items():
            if entry.kind != kind:
                continue
            folder = Path(tempfile.mkdtemp())
            written = sorted(path.stem for path in (GOLDEN / name).glob("*.zip"))
            cells = [", ".join(LIBRARIES.get(one, one) for one in written)]
            cells.append(", ".join(LIBRARIES.get(one, one) for one in readers(entry, folder)))
            shutil.rmtree(folder)
            shown = f"({entry.name})" if entry.legacy else entry.name
            lines.append(f"| {shown} | {' | '.join(cell or 'none' for cell in cells)} |")
            sys.stdout.write(f"{lines[-1]}\n")
        lines.append("")
    PAGE.write_text("\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
