"""The suites of libraries that import zarr, and of zarr-python: what is installed and what is run.

A suite comes from the source distribution of the version that pip installs, except those of which
the distribution has no tests: their ``archive`` is that of the version's tag on GitHub.
"""

from __future__ import annotations

from dataclasses import dataclass

ZARR = "zarr==3.4.2"
# What the suites need beside the libraries that they test, in one environment.
COMMON = (
    *("pytest", "pytest-asyncio", "pytest-timeout", "pytest-xdist", "pytest-mock", "hypothesis"),
    *("boto3", "distributed", "fsspec", "h5netcdf", "joblib", "mypy-boto3-s3", "netCDF4"),
    *(
        "dill",
        "numpydoc",
        "obstore",
        "pandas",
        "pooch",
        "pydot",
        "requests",
        "rich",
        "s3fs",
        "scikit-learn",
    ),
    *("pytest-rerunfailures", "scipy", "tomlkit", "uv"),
)


@dataclass(frozen=True)
class Suite:
    """A suite: where it comes from, and the arguments that pytest gets."""

    name: str
    requirement: str
    """What pip installs. Its newest version is tested, unless it says which."""
    arguments: tuple[str, ...]
    folder: str = ""
    """The folder of the source distribution that it runs in."""
    needs: tuple[str, ...] = ()
    """Further packages."""
    archive: str = ""
    """The address of an archive with the tests; ``{version}`` stands for the version."""
    alone: bool = False
    """Whether its tests share files, so that they must run one after the other."""
    version: int = 3
    """The version of zarr-python whose place fastzarr takes."""
    apart: bool = False
    """Whether it has an environment of its own, as its plugins would change how others run."""
    moved: tuple[str, str] = ("", "")
    """A package of tests and its new name, since ``zarr`` would be found around it."""

    @property
    def distribution(self) -> str:
        """The name on PyPI."""
        return self.requirement.partition("==")[0]


def _zarr(name: str, *tests: str, ignored: tuple[str, ...] = (), slow: bool = False) -> Suite:
    """Return a part of zarr-python's own suite, on request with the state machines."""
    without = tuple(f"--ignore=tests/{test}" for test in ignored)
    paths = tuple(f"tests/{test}" for test in tests)
    machines = ("--run-slow-hypothesis",) if slow else ()
    return Suite(f"zarr-python, {name}", ZARR, (*paths, *without, *machines, *_AUTO))


_AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")

SUITES = (
    Suite(
        "dask",
        "dask",
        (
            *("dask/array/tests/test_array_core.py", "dask/array/tests/test_xarray.py"),
            *("dask/tests/test_distributed.py", "dask/tests/test_sizeof.py", "-k", "zarr"),
        ),
    ),
    Suite(
        "xarray",
        "xarray",
        (
            *("xarray/tests/test_backends.py", "xarray/tests/test_backends_datatree.py"),
            *("xarray/tests/test_backends_api.py", "-k", "Zarr"),
        ),
    ),
    Suite(
        "xarray, distributed",
        "xarray",
        (
            *("xarray/tests/test_distributed.py", "xarray/tests/test_plugins.py"),
            *("-k", "zarr or test_list_engines"),
        ),
    ),
    Suite("ome-zarr", "ome-zarr", ("tests",)),
    Suite("VirtualiZarr", "virtualizarr", ("virtualizarr",), needs=("kerchunk", "icechunk")),
    Suite(
        "cubed",
        "cubed",
        (
            *("cubed/tests/test_core.py", "cubed/tests/test_store.py", "cubed/tests/storage"),
            *("cubed/tests/test_indexing.py", "cubed/tests/primitive", *_AUTO[2:]),
        ),
    ),
    Suite(
        "kerchunk",
        "kerchunk",
        ("tests",),
        archive="https://github.com/fsspec/kerchunk/archive/refs/tags/{version}.tar.gz",
    ),
    # Of what it tests without a window. Its plugin of pytest would be in all other suites.
    Suite(
        "napari",
        "napari",
        (
            "--import-mode=importlib",
            *("src/napari_builtins/_tests/test_io.py", "src/napari/_tests/test_numpy_like.py"),
            *("src/napari/components/_tests/test_histogram.py", "src/napari/layers"),
            *("src/napari/utils/_tests/test_dtype.py", "src/napari/utils/_tests/test_misc.py"),
            *("-k", "zarr or test_equality_operator or test_fill_tensorstore"),
        ),
        needs=("IPython", "fsspec", "pooch", "pretend", "pytest-pretty", "tensorstore", "xarray"),
        apart=True,
    ),
    Suite(
        "anndata",
        "anndata",
        (
            *("-p", "testing.anndata._pytest", "--import-mode=importlib"),
            *("-k", "zarr"),
            *("tests/test_io_elementwise.py", "tests/test_io_utils.py", "tests/test_readwrite.py"),
            *("tests/test_io_dispatched.py", "tests/test_io_partial.py"),
            "tests/test_backed_sparse.py",
        ),
        needs=("awkward", "boltons", "filelock", "openpyxl", "pyarrow"),
    ),
    Suite(
        "anndata, lazily and in parts",
        "anndata",
        (
            *("-p", "testing.anndata._pytest", "--import-mode=importlib"),
            # These tests name the format, or have none in their names.
            *("-k", "zarr or (lazy and not h5ad) or backwards_compat or arrow_index_write"),
            *("tests/lazy/test_read.py", "tests/lazy/test_write.py", "tests/test_annot.py"),
            *("tests/test_backed_dense.py", "tests/test_base.py", "tests/test_dask.py"),
            *("tests/test_io_backwards_compat.py", "tests/test_io_warnings.py"),
            *("tests/test_structured_arrays.py", "tests/test_x_layers_2d.py"),
        ),
    ),
    Suite(
        "anndata, concatenated on disk",
        "anndata",
        (
            *("-p", "testing.anndata._pytest", "--import-mode=importlib"),
            *("-k", "zarr", "tests/test_concatenate_disk.py"),
        ),
    ),
    Suite(
        "anndata, concatenated lazily",
        "anndata",
        (
            *("-p", "testing.anndata._pytest", "--import-mode=importlib"),
            *("-k", "not h5ad", "tests/lazy/test_concat.py"),
        ),
    ),
    Suite(
        "icechunk",
        "icechunk",
        (
            *("tests/test_store.py", "tests/test_pickle.py", "tests/test_zarr/test_array.py"),
            *("tests/test_zarr/test_group.py", "tests/test_zarr/test_store"),
            # What reads and writes arrays. Left out are files that need an S3 server (virtual
            # references, credentials), those that start clusters, those of state machines, which
            # take hours, and those of Icechunk alone.
            *("tests/test_array_chunk_iterator.py", "tests/test_can_read_old.py"),
            *("tests/test_commit_properties.py", "tests/test_conflicts.py"),
            *("tests/test_dask_array.py", "tests/test_error.py"),
            *("tests/test_exception_tree.py", "tests/test_format_universality.py"),
            *("tests/test_inspect.py", "tests/test_manifest_splitting.py", "tests/test_move.py"),
            *("tests/test_reindex.py", "tests/test_session.py", "tests/test_shift.py"),
            *("tests/test_spec_versions.py", "tests/test_stats.py", "tests/test_timetravel.py"),
            *("tests/test_store_properties.py", "tests/test_xarray.py", *_AUTO),
        ),
        folder="icechunk-python",
    ),
    Suite("hdmf-zarr", "hdmf-zarr", ("tests/unit",), alone=True),
    _zarr(
        "stores",
        *("test_store", "test_buffer.py", "test_sync.py", "test_experimental", "test_abc"),
        *("test_coalesce.py", "test_common.py"),
    ),
    _zarr(
        "types and documents",
        *("test_dtype", "test_dtype_registry.py", "test_metadata", "test_chunk_grids.py"),
        *("test_chunk_key_encodings.py", "test_chunk_transform.py", "test_unified_chunk_grid.py"),
        *("test_array_spec.py", "test_json.py", "test_json_parse.py"),
    ),
    _zarr(
        "codecs",
        *("test_codecs", "test_config.py", "test_registry.py", "test_codec_entrypoints.py"),
        *("test_codec_pipeline.py", "test_codec_pipeline_suite.py", "test_fused_pipeline.py"),
        *("test_fastpath_equivalence.py", "test_pipeline_parity.py"),
    ),
    _zarr("arrays", "test_array.py", "test_attributes.py", "test_info.py", "test_resize.py"),
    _zarr("selections", "test_indexing.py"),
    _zarr("properties", "test_properties.py", "test_array_stateful.py", slow=True),
    _zarr("groups", "test_group.py", "test_tree.py", "test_errors.py"),
    _zarr(
        "functions",
        *("test_api", "test_api.py", "test_v2.py", "test_zarr.py", "test_regression"),
        *("test_cli", "test_docs.py", "test_examples.py", "test_version_derivation.py"),
    ),
    Suite(
        "zarr-python 2",
        "zarr==2.18.7",
        ("own",),
        needs=("fsspec", "h5py", "lmdb", "msgpack", "pytest-doctestplus", "requests"),
        version=2,
        moved=("zarr/tests", "own"),
    ),
)
