"""Arrays exchanged with other libraries both ways, bit by bit, for all pairs of options."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from interop.cases import (
    ATTRIBUTES,
    CODECS,
    DTYPES,
    FILLS,
    FILTERS,
    GEOMETRIES,
    SHARDS,
    Case,
    bits,
    same_type,
)
from peers import HERE, PEERS, UNSUPPORTED, Contents, Peer

# An option that fastzarr or most peers lack would exclude its combinations, so it has own cases.
_BLOSC = ["lz4 shuffle", "lz4hc bitshuffle", "blosclz noshuffle", "zstd shuffle", "zstd bitshuffle"]
_BLOSC = [f"blosc {name}" for name in [*_BLOSC, "zlib noshuffle"]]
_CODECS = {
    zarr_format: [n for n in codecs if n in _BLOSC or not n.startswith(("blosc", "numcodecs"))]
    for zarr_format, codecs in CODECS.items()
}
_COMMON: dict[str, list[Any]] = {
    "geometry": [*GEOMETRIES],
    "order": ["C", "F"],
    "endian": ["little", "big"],
    "separator": ["/", "."],
}
_V3 = {
    "kind": [*DTYPES],
    "codec": _CODECS[3],
    "shards": [*SHARDS],
    "fill": [name for name in FILLS if name != "null"],
    **_COMMON,
}
_V2 = {
    "kind": [*DTYPES],
    "codec": [n for n in CODECS[2] if "snappy" not in n],
    "fill": [*FILLS],
    **_COMMON,
}
_V2_FILTERS = {
    "kind": [kind for kind, dtype in DTYPES.items() if dtype.kind not in "TO"],
    "filter": [name for name in FILTERS if name != "none"],
    "codec": ["none", "zstd", "blosc lz4 shuffle"],
    **_COMMON,
}


def _pairwise(zarr_format: int, factors: dict[str, list[Any]]) -> list[Case]:
    """Return few cases that contain every valid pair of values of two factors.

    A greedy cover: each case starts from a missing pair, and chooses for each other factor the
    value with which it covers most missing pairs.
    """
    missing = {
        frozenset([(one, x), (other, y)]): None
        for one, other in itertools.combinations(factors, 2)
        for x, y in itertools.product(factors[one], factors[other])
    }
    turns = dict.fromkeys(factors, 0)
    cases = []
    while missing:
        chosen = dict(next(iter(missing)))
        del missing[frozenset(chosen.items())]
        for factor, values in factors.items():
            if factor in chosen:
                continue
            # Among equals they take turns, so that values that no pair requires vary too.
            turns[factor] += 1
            turn = turns[factor] % len(values)
            turned = values[turn:] + values[:turn]
            fitting = [v for v in turned if _case(zarr_format, **chosen, **{factor: v}).valid()]
            if not fitting:
                break
            gains = [
                sum(frozenset([(factor, value), other]) in missing for other in chosen.items())
                for value in fitting
            ]
            chosen[factor] = fitting[gains.index(max(gains))]
        case = _case(zarr_format, **chosen)
        if len(chosen) < len(factors) or not case.valid():
            continue
        for pair in itertools.combinations(chosen.items(), 2):
            missing.pop(frozenset(pair), None)
        cases.append(case)
    return cases


def _case(zarr_format: int, kind: str = "float64", **options: Any) -> Case:
    return Case(zarr_format, kind, **options)


_FEW = [
    # One axis, so that chunks are repetitive and blosc does not store them uncompressed.
    Case(zarr_format, kind, "1-d exact", codec, endian=endian, shards=shards)
    for zarr_format, codecs in CODECS.items()
    for codec in codecs
    if codec not in _CODECS[zarr_format]
    for kind, endian, shards in [
        ("int32", "little", "none"),
        ("float64", "big", "sharded" if zarr_format == 3 else "none"),
    ]
]
CASES = [*_pairwise(3, _V3), *_pairwise(2, _V2), *_pairwise(2, _V2_FILTERS), *_FEW]


def _check(
    peer: Peer, contents: Contents, case: Case, values: np.ndarray[Any, Any], writer: Peer = HERE
) -> None:
    expected = case.dtype
    assert contents.values.shape == case.shape
    assert same_type(contents.values.dtype, expected)
    if peer.exact_byte_order:
        assert contents.values.dtype == expected
    # Compared outside of the assertion, whose explanation would compare long lists item by item.
    same_bits = bits(contents.values, expected) == bits(values, expected)
    assert same_bits, f"{case}: the values differ"
    if case.fill_value is None:
        assert contents.fill is None
    else:
        fill, wanted = np.empty(1, expected), np.empty(1, expected)
        fill[0], wanted[0] = contents.fill, case.fill_value
        assert bits(fill, expected) == bits(wanted, expected)
    if peer.attributes(case.zarr_format):
        # zarrista adds its name to what it writes.
        attributes = {k: v for k, v in (contents.attributes or {}).items() if k != "_zarrs"}
        assert attributes == (ATTRIBUTES if writer.attributes(case.zarr_format) else {})
    else:
        assert contents.attributes is None
    if case.zarr_format == 3:
        assert contents.names == (case.dimension_names or None)


def _fails(act: Any) -> bool:
    """Whether an action raises, including a panic of Rust, which is not an Exception."""
    try:
        act()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001
        return True
    return False


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays_of_fastzarr_are_read_by_peers(case, tmp_path):
    path, values = tmp_path / "array", case.values()
    if reason := HERE.supports(case, "write"):
        assert _fails(lambda: HERE.write(path, case, values)), reason
        return
    HERE.write(path, case, values)
    _check(HERE, HERE.read(path), case, values)
    for peer in PEERS.values():
        if reason := peer.supports(case, "read"):
            assert _fails(lambda peer=peer: _check(peer, peer.read(path), case, values)), reason
        else:
            _check(peer, peer.read(path), case, values)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays_of_peers_are_read_and_updated(case, name, tmp_path):
    peer, path, values = PEERS[name], tmp_path / "array", case.values()

    def write_and_read():
        peer.write(path, case, values)
        _check(peer, peer.read(path), case, values, peer)
        _check(HERE, HERE.read(path), case, values, peer)

    if reason := peer.supports(case, "write"):
        assert _fails(write_and_read), reason
        return
    peer.write(path, case, values)
    if reason := HERE.supports(case, "read"):
        assert _fails(lambda: HERE.read(path)), reason
        return
    _check(HERE, HERE.read(path), case, values, peer)
    if (
        HERE.supports(case, "write")
        or peer.supports(case, "read")
        or 0 in (values.ndim, values.size)
    ):
        return
    for writer, third in (HERE, 0), (peer, 1):
        region = tuple(slice(n * third // 3, n * (third + 2) // 3) for n in case.shape)
        values[region] = values[tuple(slice(None, None, -1) for _ in case.shape)][region].copy()
        writer.update(path, region, values[region])
        _check(HERE, HERE.read(path), case, values, peer)
        _check(peer, peer.read(path), case, values, peer)


@pytest.mark.parametrize("peer", [HERE, *PEERS.values()], ids=lambda peer: peer.name)
def test_each_unsupported_cell_is_proven_by_a_case_that_lacks_nothing_else(peer):
    reasons = [peer.keys(case, verb) for case in CASES for verb in ("write", "read")]
    alone = {keys[0] for keys in reasons if len(keys) == 1}
    assert set(peer.unsupported) - alone == set()


def test_each_unsupported_cell_is_of_a_peer():
    assert {key[0] for key in UNSUPPORTED} <= {HERE.name, *PEERS}
