"""Common fixtures: profiles of hypothesis, settings restored after each test, and servers.

A server is started by the first test that needs it, and serves all that follow. Where it cannot be
had, these tests are skipped with the reason.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from importlib import import_module
from importlib.util import find_spec

import hypothesis
import pytest
from servers import files
from servers import mongo as mongo_server
from servers import proxy as proxies
from servers import redis as redis_server
from servers import s3 as seaweed
from servers.process import UnavailableError
from standstill import Watch

from fastzarr.config import config

# A shell lets what it runs in the background ignore Ctrl-C, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(os, "fork"):
    # A forked child that stands still ends with a signal, and does not keep its parent waiting.
    os.register_at_fork(after_in_child=lambda: signal.alarm(600))
# Detailed messages in the suites of stores, which nothing has imported yet.
pytest.register_assert_rewrite("fastzarr.testing", "servers.suites")
# The imports of the first are mistakes, too; the second needs GDAL, which is not on PyPI.
collect_ignore = ["typed/wrong.py", "golden/make_gdal.py"]
if "FASTZARR_TEST_DISTRIBUTED" not in os.environ:
    # It runs in a process of its own: see test_distributed.py.
    collect_ignore.append("integrations/distributed_cases.py")
    if find_spec("tblib") is not None:
        # dask.distributed lets all exceptions of its process be pickled with their causes and
        # tracebacks, and xarray imports it.
        import_module("tblib.pickling_support").install = lambda *_args, **_options: None

# No deadline: a slow machine is not a failure. In CI, each run tries the same examples.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

# Where few tests take long. They wait for processes of their own, while other workers have work.
_LONG = {"torture", "consumers", "integrations", "test_memory.py", "test_stateful.py"}


def pytest_configure(config: pytest.Config) -> None:
    """Look at tests that take longer than faulthandler's watch waits."""
    watch = Watch(float(config.getini("faulthandler_timeout")))
    watch.start()
    config.pluginmanager.register(watch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let several workers begin with the files that take longest, so that none ends long after."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (_LONG.isdisjoint(item.path.parts), -tests[item.path]))


def pytest_report_header() -> str:
    """Say where tests do not run against a real server."""
    return mongo_server.KIND


@pytest.fixture(params=["native", "numpy"])
def data_path(request):
    """Run a test with the native extension and with its twin in NumPy."""
    with config.set({"data_path": request.param}):
        yield request.param


@pytest.fixture(autouse=True)
def _settings_as_they_were():
    """Restore ``config`` after a test, including permanent changes."""
    yield
    config.reset()


@pytest.fixture(scope="session")
def s3_server():
    """Run an S3 server."""
    try:
        with seaweed.running() as server:
            yield server
    except UnavailableError as error:
        pytest.skip(str(error))


_NUMBERS = itertools.count()


@pytest.fixture
def s3(s3_server):
    """Return an empty prefix of the S3 server."""
    return seaweed.Prefix(s3_server.url, f"test-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def s3_proxy(s3_server):
    """Run a proxy before the S3 server."""
    with proxies.running(s3_server.host) as running:
        yield running


@pytest.fixture
def proxy(s3_proxy):
    """Return the proxy before the S3 server, without latency, faults and log."""
    s3_proxy.restore()
    yield s3_proxy
    s3_proxy.restore()


@pytest.fixture(scope="session")
def file_server():
    """Run an HTTP server for files, and return its address and the folder it serves."""
    with files.running() as found:
        yield found


@pytest.fixture
def http_server(file_server):
    """Return an empty folder that an HTTP server serves."""
    host, root = file_server
    folder = root / f"test-{next(_NUMBERS)}"
    folder.mkdir()
    return files.Folder(folder, f"http://{host}")


@pytest.fixture(scope="session")
def file_proxy(file_server):
    """Run a proxy before the HTTP server for files."""
    with proxies.running(file_server[0]) as running:
        yield running


@pytest.fixture
def http_proxy(file_proxy):
    """Return the proxy before the HTTP server for files, without latency, faults and log."""
    file_proxy.restore()
    yield file_proxy
    file_proxy.restore()


@pytest.fixture(scope="session")
def redis_process():
    """Run a Redis server."""
    try:
        with redis_server.running() as server:
            yield server
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def redis(redis_process):
    """Return the arguments of a client of the Redis server, whose database is empty."""
    from redis import Redis

    words = {"host": redis_server.HOST, "port": redis_process.ports[0]}
    with Redis(**words) as client:
        client.flushall()
    return words


@pytest.fixture(scope="session")
def mongo_process():
    """Run a MongoDB server, or what stands in for it."""
    try:
        with mongo_server.running() as server:
            yield server
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def mongo(mongo_process):
    """Return the arguments of a client of the MongoDB server, which has no documents."""
    from pymongo import MongoClient

    words = {"host": mongo_server.HOST, "port": mongo_process.ports[0]}
    with MongoClient(**words) as client:
        for name in ("mongodb_zarr", "data"):
            client.drop_database(name)
    return words
