"""Turn real ocean data into one Zarr hierarchy, read it back, and check every value.

The data come with the package ``iris-sample-data``, as NetCDF-4 files, which are HDF5 underneath:

* ``ostia``: monthly surface temperature of the equatorial ocean, April 2006 to September 2010,
  from the OSTIA analysis;
* ``orca2``: potential temperature at 5 m depth, on the curvilinear two-degree grid ORCA2;
* ``nemo``: sea surface temperature of three months on the one-degree grid of the NEMO model, one
  file a month.

``python examples/ocean.py --out build`` writes them to ``build/ocean.zarr``, with every variable
that the files hold, their attributes and the names of their dimensions. Then it reads all of it
back, with fastzarr and with zarr-python, and compares each value with its source, bit for bit.
From the Zarr copy it draws ``build/sst.png``. It ends with status 1 if anything differs.

Rules of this file: what a file says of itself is copied, never guessed; the check reads the source
anew, file by file, and shares with the writing no more than the description of the variables.
"""

from __future__ import annotations

import argparse
import base64
import struct
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import iris_sample_data
import numpy as np

import fastzarr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes

DATA = Path(iris_sample_data.path)

# What NetCDF-4 keeps in HDF5 for itself: the dimensions it links, and versions of the library.
BOOKKEEPING = frozenset(
    {
        "CLASS",
        "NAME",
        "DIMENSION_LIST",
        "REFERENCE_LIST",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_nc3_strict",
    }
)
NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"

# The Niño 3.4 region, whose surface temperature tells El Niño from La Niña.
NINO_LATITUDE = (-5.0, 5.0)
NINO_LONGITUDE = (190.0, 240.0)

# Colours of the picture.
INK, GREY, LAND = "#22303c", "#64727d", "#d9d6cf"
WARM, COOL = "#d1495b", "#2e86ab"
MAP_CENTRE = 200.0


@dataclass(frozen=True)
class Source:
    """Name a group of the hierarchy and the files it is made from, in the order of their time.

    A chunk of the main variable holds all of its times and a tile of its map, so that a time series
    and a region both read few chunks. ``shards`` puts many such chunks into one file.
    """

    group: str
    files: tuple[Path, ...]
    main: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None
    joined_along: str | None = None

    @property
    def path(self) -> str:
        """Give the path of the main variable in the hierarchy."""
        return f"{self.group}/{self.main}"


SOURCES = (
    Source(
        group="ostia",
        files=(DATA / "ostia_monthly.nc",),
        main="surface_temperature",
        chunks=(54, 9, 72),
        shards=(54, 18, 432),
    ),
    Source(
        group="orca2",
        files=(DATA / "orca2_votemper.nc",),
        main="votemper",
        chunks=(74, 90),
    ),
    Source(
        group="nemo",
        files=tuple(sorted((DATA / "NEMO").glob("nemo_1m_*.nc"))),
        main="tos",
        chunks=(3, 110, 120),
        joined_along="time_counter",
    ),
)


@dataclass(frozen=True)
class Variable:
    """Describe one variable of a source as it shall stand in the hierarchy."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimensions: tuple[str, ...]
    fill: Any
    attributes: dict[str, Any]
    joined: bool


# Reading the source


def plain(value: Any) -> Any:
    """Give an HDF5 attribute as a value of JSON: text for bytes, a number for an array of one."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return plain(value[0]) if value.shape == (1,) else [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def attributes_of(item: h5py.Dataset | h5py.File) -> dict[str, Any]:
    """Give the attributes of a file or variable without those HDF5 keeps for itself.

    ``_FillValue`` of a floating-point variable is spelled as xarray spells it in Zarr and reads it
    again: the eight bytes of the number, little-endian, in base64.
    """
    found = {name: plain(value) for name, value in item.attrs.items() if name not in BOOKKEEPING}
    if isinstance(fill := found.get("_FillValue"), float):
        found["_FillValue"] = base64.standard_b64encode(struct.pack("<d", fill)).decode()
    return found


def dimensions_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Give the names of a variable's dimensions; a coordinate is its own."""
    if dataset.is_scale:
        return (dataset.name.strip("/"),)
    scales = dataset.attrs.get("DIMENSION_LIST", ())
    return tuple(dataset.file[references[0]].name.strip("/") for references in scales)


def variables_of(file: h5py.File) -> Iterator[h5py.Dataset]:
    """Go through the variables of a file; a dimension that has no values is none."""
    for dataset in file.values():
        if not dataset.attrs.get("NAME", b"").startswith(NO_VARIABLE):
            yield dataset


def describe(source: Source) -> tuple[dict[str, Any], list[Variable]]:
    """Give the attributes of a group, and its variables.

    An attribute of the group that differs from file to file becomes the list of its values. Those
    of a variable, and all that is not joined, must agree.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(path)) for path in source.files]
        each = [attributes_of(file) for file in files]
        attributes = {
            name: value if all(other[name] == value for other in each) else [a[name] for a in each]
            for name, value in each[0].items()
        }
        variables = [_variable(source, dataset, files) for dataset in variables_of(files[0])]
    return attributes, variables


def _variable(source: Source, dataset: h5py.Dataset, files: Sequence[h5py.File]) -> Variable:
    name = dataset.name.strip("/")
    dimensions = dimensions_of(dataset)
    joined = bool(dimensions) and dimensions[0] == source.joined_along
    shape = dataset.shape
    if joined:
        shape = (sum(file[name].shape[0] for file in files), *shape[1:])
    for file in files[1:]:
        if attributes_of(file[name]) != attributes_of(dataset):
            sys.exit(f"{file.filename}: the attributes of {name!r} are not those of the first file")
        if not joined and not same_bits(file[name][()], dataset[()]):
            sys.exit(f"{file.filename}: {name!r} is not that of the first file")
    # Where a file names no missing value, HDF5 still knows what a value never written reads as.
    fill = plain(dataset.attrs.get("_FillValue", dataset.fillvalue))
    native = dataset.dtype.newbyteorder("=")
    return Variable(name, shape, native, dimensions, fill, attributes_of(dataset), joined)


# Writing, and checking what was written


def write(root: Any, source: Source) -> float:
    """Write one source as a group of the hierarchy, and give the seconds that took."""
    attributes, variables = describe(source)
    group = root.create_group(source.group, attributes=attributes)
    seconds = 0.0
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(path)) for path in source.files]
        for variable in variables:
            parts = [file[variable.name][()] for file in files]
            values = np.concatenate(parts) if variable.joined else parts[0]
            is_main = variable.name == source.main
            start = time.perf_counter()
            array = group.create_array(
                variable.name,
                shape=variable.shape,
                dtype=variable.dtype,
                chunks=source.chunks if is_main else variable.shape,
                shards=source.shards if is_main else None,
                fill_value=variable.fill,
                dimension_names=variable.dimensions,
                attributes=variable.attributes,
            )
            array[...] = values
            seconds += time.perf_counter() - start
    return seconds


def same_bits(one: Any, other: Any) -> bool:
    """Tell whether two arrays have the same type, the same shape, and the same bits."""
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.newbyteorder("=") != other.dtype.newbyteorder("="):
        return False
    return one.shape == other.shape and one.tobytes() == other.astype(one.dtype).tobytes()


@dataclass
class Verdict:
    """Count what was compared, and collect what differs."""

    variables: int = 0
    values: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)


def check(root: Any) -> Verdict:
    """Compare the hierarchy with its sources: each value, attribute and dimension name.

    ``root`` is the opened group, of fastzarr or of any library whose groups and arrays look alike.
    """
    verdict = Verdict()
    for source in SOURCES:
        attributes, variables = describe(source)
        group = root[source.group]
        if dict(group.attrs) != attributes:
            verdict.differences.append(f"{source.group}: the attributes differ")
        names = {variable.name for variable in variables}
        if (found := {name for name, _ in group.arrays()}) != names:
            verdict.differences.append(
                f"{source.group}: holds {sorted(found)}, the source {sorted(names)}"
            )
        for variable in variables:
            if variable.name in found:
                _check_variable(group[variable.name], source, variable, verdict)
    return verdict


def _check_variable(array: Any, source: Source, variable: Variable, verdict: Verdict) -> None:
    where = f"{source.group}/{variable.name}"
    if dict(array.attrs) != variable.attributes:
        verdict.differences.append(f"{where}: the attributes differ")
    if tuple(array.metadata.dimension_names or ()) != variable.dimensions:
        verdict.differences.append(f"{where}: the dimension names differ")
    if array.dtype != variable.dtype or array.shape != variable.shape:
        verdict.differences.append(
            f"{where}: {array.dtype} {array.shape}, not {variable.dtype} {variable.shape}"
        )
        return
    at = 0
    for path in source.files if variable.joined else source.files[:1]:
        with h5py.File(path) as file:
            values = file[variable.name][()]
        selection = slice(at, at + len(values)) if variable.joined else ...
        start = time.perf_counter()
        copy = array[selection]
        verdict.seconds += time.perf_counter() - start
        if not same_bits(copy, values):
            verdict.differences.append(f"{where}: values differ from {path.name}")
        verdict.values += values.size
        at += len(values) if variable.joined else 0
    verdict.variables += 1


# Reading a region and a time series


def span(coordinate: np.ndarray, bounds: tuple[float, float]) -> slice:
    """Give the slice of a sorted coordinate that lies within the bounds."""
    inside = np.flatnonzero((coordinate >= bounds[0]) & (coordinate <= bounds[1]))
    return slice(int(inside[0]), int(inside[-1]) + 1)


def nearest(coordinate: np.ndarray, value: float) -> int:
    """Give the position of a coordinate closest to a value."""
    return int(np.abs(coordinate - value).argmin())


def read_parts(root: Any) -> tuple[list[tuple[str, ...]], list[str]]:
    """Read the Niño 3.4 region and a time series, and compare each with the same part of the file.

    Returns the rows of a table, and what differs.
    """
    ostia = root["ostia"]
    temperature = ostia["surface_temperature"]
    latitude, longitude = ostia["latitude"][:], ostia["longitude"][:]
    point = nearest(latitude, 0.0), nearest(longitude, 220.0)
    parts = {
        "Niño 3.4 region": (
            slice(None),
            span(latitude, NINO_LATITUDE),
            span(longitude, NINO_LONGITUDE),
        ),
        "time series, 0°N 140°W": (slice(None), *point),
    }
    rows, differences = [], []
    with h5py.File(SOURCES[0].files[0]) as file:
        for title, selection in parts.items():
            start = time.perf_counter()
            values = temperature[selection]
            seconds = time.perf_counter() - start
            same = same_bits(values, file["surface_temperature"][selection])
            if not same:
                differences.append(f"{title}: values differ from the source")
            shape = " x ".join(map(str, values.shape))
            rows.append((title, shape, milliseconds(seconds), "equal" if same else "DIFFERENT"))
    return rows, differences


# The picture


def kelvin_to_celsius(values: np.ndarray) -> np.ndarray:
    """Convert temperatures, in double precision so that means keep their digits."""
    return values.astype("f8") - 273.15


def masked(array: Any) -> np.ma.MaskedArray[Any, Any]:
    """Read an array whole, with its missing values masked."""
    return np.ma.masked_equal(array[...], array.fill_value)


def picture(root: Any, path: Path) -> None:
    """Draw three views of sea surface temperature, all from the Zarr copy."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    style = dict.fromkeys(inked, INK) | {"axes.edgecolor": "#9aa5ae", "font.size": 10.5}
    with rc_context(style):
        figure = Figure(figsize=(11.5, 12.4), dpi=120, facecolor="white", layout="constrained")
        figure.get_layout_engine().set(h_pad=0.14, w_pad=0.12)
        world, belt, nino = figure.subplots(3, 1, height_ratios=[5.3, 1.5, 2.7])
        _draw_world(root["nemo"], world)
        _draw_belt(root["ostia"], belt)
        _draw_nino(root["ostia"], nino)
        figure.savefig(path)


def _heading(axes: Axes, text: str, detail: str) -> None:
    axes.set_title(text, loc="left", fontsize=13, fontweight="bold", pad=22)
    axes.annotate(
        detail,
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        color=GREY,
        fontsize=10,
    )


def equal_earth(longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project degrees to the plane, areas kept (Savric, Patterson and Jenny, 2018)."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t = np.arcsin(np.sqrt(3) / 2 * np.sin(np.radians(latitude)))
    slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
    x = 2 * np.sqrt(3) * np.radians(longitude) * np.cos(t) / (3 * slope)
    return x, a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t


def half_turn(degrees: np.ndarray) -> np.ndarray:
    """Bring angles to between -180 and 180 degrees."""
    return (degrees + 180) % 360 - 180


def meridian_name(longitude: float) -> str:
    """Spell a longitude with its hemisphere."""
    east = (longitude + 180) % 360 - 180
    return f"{abs(east):.0f}°{'E' if east > 0 else 'W'}" if east % 180 else f"{abs(east):.0f}°"


def _cells(nemo: Any, wanted: np.ndarray, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the corners of the wanted cells on the map, and which of them have an outline there.

    The grid is curved and folds over the Arctic, so a cell is drawn from the bounds it comes with.
    """
    longitude, latitude = nemo["bounds_lon"][...][wanted], nemo["bounds_lat"][...][wanted]
    middle = half_turn(nemo["nav_lon"][...][wanted].astype("f8") - centre)[:, None]
    # A cell's corners are taken to the side of its middle, and cut where the map ends: a cell on
    # the edge has neighbours on the other side that reach past it from there.
    longitude = middle + half_turn(longitude - centre - middle)
    outlined = np.ptp(longitude, axis=1) < 90  # A cell about the pole has none.
    return np.stack(equal_earth(np.clip(longitude, -180, 180), latitude), axis=-1), outlined


def _draw_world(nemo: Any, axes: Axes) -> None:
    from matplotlib.collections import PolyCollection

    temperature = masked(nemo["tos"]).mean(axis=0)
    corners, outlined = _cells(nemo, ~np.ma.getmaskarray(temperature), centre=MAP_CENTRE)
    mesh = PolyCollection(
        corners[outlined],
        array=temperature.compressed()[outlined],
        cmap="turbo",
        clim=(-2, 32),
        edgecolors="face",
        linewidths=0.3,
        rasterized=True,
    )
    meridian, parallel = np.linspace(-90, 90, 181), np.linspace(-180, 180, 361)
    outline = [equal_earth(np.full_like(meridian, side), meridian) for side in (-180, 180)]
    edge = np.hstack([outline[0], np.flip(outline[1], axis=1)])
    axes.fill(*edge, color=LAND, lw=0, zorder=0)
    axes.add_collection(mesh)
    for degrees in range(-60, 90, 30):
        x, y = equal_earth(parallel, np.full_like(parallel, degrees))
        axes.plot(x, y, color="white", alpha=0.3, lw=0.6)
        name = f"{abs(degrees)}°{'N' if degrees > 0 else 'S'}" if degrees else "0°"
        axes.annotate(
            name, (x[0], y[0]), (-5, 0), textcoords="offset points", ha="right", va="center"
        )
    for degrees in range(-140, 180, 60):
        x, y = equal_earth(np.full_like(meridian, degrees), meridian)
        axes.plot(x, y, color="white", alpha=0.3, lw=0.6)
        name = meridian_name(degrees + MAP_CENTRE)
        axes.annotate(
            name, (x[0], y[0]), (0, -4), textcoords="offset points", ha="center", va="top"
        )
    axes.fill(*edge, fill=False, ec=GREY, lw=1.0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    _heading(
        axes,
        "Sea surface temperature, January to March 2015",
        "NEMO, nemo/tos, mean of three months, drawn cell by cell from the bounds of its grid",
    )
    axes.figure.colorbar(mesh, ax=axes, label="°C", shrink=0.72, aspect=24, pad=0.025)


def _draw_belt(ostia: Any, axes: Axes) -> None:
    latitude, longitude = ostia["latitude"][:], ostia["longitude"][:]
    columns = span(longitude, (120.0, 285.0))
    array = ostia["surface_temperature"]
    belt = np.ma.masked_equal(array[:, :, columns], array.fill_value)
    mean = kelvin_to_celsius(belt.mean(axis=0))
    axes.set_facecolor(LAND)
    mesh = axes.pcolormesh(longitude[columns], latitude, mean, cmap="turbo", clim=(22, 31))
    (south, north), (west, east) = NINO_LATITUDE, NINO_LONGITUDE
    axes.fill(
        [west, east, east, west], [south, south, north, north], fill=False, ec="white", lw=1.6
    )
    axes.text(west + 1, north - 1.4, "Niño 3.4", color="white", fontweight="bold", fontsize=10)
    ticks = range(120, 300, 20)
    axes.set_xticks(ticks, [meridian_name(degrees) for degrees in ticks])
    axes.set_yticks([-4, 0, 4], ["4°S", "0°", "4°N"])
    axes.tick_params(length=3)
    _heading(
        axes,
        "The equatorial Pacific, mean of 54 months",
        "OSTIA, ostia/surface_temperature, April 2006 to September 2010",
    )
    axes.figure.colorbar(mesh, ax=axes, label="°C", aspect=8, pad=0.025)


def _draw_nino(ostia: Any, axes: Axes) -> None:
    array = ostia["surface_temperature"]
    latitude, longitude = ostia["latitude"][:], ostia["longitude"][:]
    rows, columns = span(latitude, NINO_LATITUDE), span(longitude, NINO_LONGITUDE)
    region = np.ma.masked_equal(array[:, rows, columns], array.fill_value)
    weights = np.broadcast_to(np.cos(np.radians(latitude[rows]))[:, None], region.shape[1:])
    series = kelvin_to_celsius(
        np.ma.average(region.reshape(len(region), -1), axis=1, weights=weights.ravel())
    )
    dates = np.datetime64("1970-01-01T00", "h") + ostia["time"][:].astype("timedelta64[h]")
    month = dates.astype("M8[M]").astype(int) % 12
    usual = np.array([series[month == m].mean() for m in range(12)])[month]
    days = dates.astype("M8[D]")
    for warmer, colour in ((True, WARM), (False, COOL)):
        where = (series >= usual) == warmer
        axes.fill_between(
            days, series, usual, where=where, color=colour, alpha=0.45, lw=0, interpolate=True
        )
    axes.plot(days, usual, color=GREY, lw=1.1, ls=(0, (4, 3)), label="mean of that month")
    axes.plot(days, series, color=INK, lw=1.8, label="Niño 3.4")
    for name, when, colour in (
        ("La Niña 2007/08", "2007-12-16", COOL),
        ("El Niño 2009/10", "2009-12-16", WARM),
    ):
        at = int(np.abs(days - np.datetime64(when)).argmin())
        up = series[at] > usual[at]
        axes.annotate(
            name,
            (days[at], series[at]),
            (0, 12 if up else -18),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontweight="bold",
        )
    axes.set_xlim(days[0], days[-1])
    axes.margins(y=0.16)
    axes.set_ylabel("°C")
    axes.grid(visible=True, axis="y", color="#e3e7ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", ncols=2)
    _heading(
        axes,
        "Surface temperature of the Niño 3.4 region",
        "OSTIA, mean over 5°S to 5°N and 170°W to 120°W, against the mean of each calendar month",
    )


# Telling


def milliseconds(seconds: float) -> str:
    """Spell a time."""
    return f"{seconds * 1e3:.1f} ms"


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a head, the first column to the left and the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        first, *rest = line
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
        if number == 0:
            print("  ".join("-" * width for width in widths))


def report(root: Any) -> None:
    """Print ``info`` of each main variable, then sizes and times of all of them."""
    for source in SOURCES:
        print(f"\n{source.path}\n{root[source.path].info_complete()}")
    rows = []
    for source in SOURCES:
        array = root[source.path]
        stored = array.nbytes_stored()
        start = time.perf_counter()
        array[...]
        seconds = time.perf_counter() - start
        shards = " x ".join(map(str, array.shards)) if array.shards else "-"
        shape, chunks = (" x ".join(map(str, sizes)) for sizes in (array.shape, array.chunks))
        ratio = f"{array.nbytes / stored:.2f}"
        sizes = (f"{array.nbytes:,}", f"{stored:,}", ratio)
        rows.append((source.path, shape, chunks, shards, *sizes, milliseconds(seconds)))
    print()
    head = ("variable", "shape", "chunks", "shards", "bytes", "stored", "ratio", "read whole")
    print_table(head, rows)


def verdict_line(name: str, verdict: Verdict) -> str:
    """Tell in one line what a check found."""
    found = "equal, bit for bit" if not verdict.differences else "DIFFERENT"
    return (
        f"{name}: {verdict.variables} variables, {verdict.values:,} values {found}; "
        f"read in {milliseconds(verdict.seconds)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the whole journey, and return the status to end with."""
    parser = argparse.ArgumentParser(description="Ocean data from NetCDF-4 to Zarr and back.")
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder to write to")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    target = out / "ocean.zarr"

    root = fastzarr.create_group(target, overwrite=True, attributes={"title": "Ocean data"})
    for source in SOURCES:
        seconds = write(root, source)
        print(f"wrote {target}/{source.group} in {milliseconds(seconds)}")

    root = fastzarr.open_group(target, mode="r")
    print(f"\n{root.tree()}")
    report(root)

    print()
    rows, differences = read_parts(root)
    print_table(("part of ostia", "shape", "read", "with the source"), rows)

    import zarr  # zarr-python, the other reader

    print()
    for name, opened in (
        ("fastzarr", root),
        (f"zarr-python {zarr.__version__}", zarr.open_group(target, mode="r")),
    ):
        verdict = check(opened)
        print(verdict_line(name, verdict))
        differences += [f"{name}: {text}" for text in verdict.differences]

    picture(root, out / "sst.png")
    print(f"\ndrew {out / 'sst.png'}")
    for difference in differences:
        print(difference, file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
