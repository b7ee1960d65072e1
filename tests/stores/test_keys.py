"""Validation of keys and paths."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastzarr.errors import KeyValidationError
from fastzarr.stores import normalise_path, validate_key
from fastzarr.testing.stores import BAD_KEYS, GOOD_KEYS

AWKWARD = st.text(alphabet="a./\\\0\x1f\x9f\ud800\u00e9\U0001f30a -", max_size=12)


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_good_keys(key: str) -> None:
    """Valid keys are accepted, and are valid paths too."""
    validate_key(key)
    assert normalise_path(key) == key


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_named(key: str) -> None:
    """The message shows the invalid key, in ASCII and shortened."""
    with pytest.raises(KeyValidationError, match="is not a valid key") as caught:
        validate_key(key)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert ascii(key[:6])[1:-1] in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/a", "starts with '/'"),
        ("a//b", "segment ''"),
        ("a/../b", r"segment '\.\.'"),
        ("a\\b", "backslash"),
        ("a\nb", "control"),
        ("a\ud800", "surrogate"),
        ("a" * 256, "256 bytes"),
        ("\u00e9" * 128, "256 bytes"),
        ("a.fastzarr-tmp", "temporary"),
    ],
)
def test_the_reason_is_named(key: str, reason: str) -> None:
    """The message has the reason."""
    with pytest.raises(KeyValidationError, match=reason):
        validate_key(key)


@given(st.one_of(AWKWARD, st.text()))
def test_a_key_that_passes_stays_inside(key: str) -> None:
    """A valid key, joined to a folder, is a path below it with valid file names."""
    try:
        validate_key(key)
    except KeyValidationError:
        return
    root = "/some/root"
    assert os.path.normpath(f"{root}/{key}") == f"{root}/{key}"
    for name in key.split("/"):
        assert 0 < len(os.fsencode(name.encode())) <= 255
        assert name.isprintable() or not any(ord(c) < 32 for c in name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""),
        (None, ""),
        ("/", ""),
        ("///", ""),
        ("a", "a"),
        ("/a/", "a"),
        ("a//b///c", "a/b/c"),
    ],
)
def test_paths_lose_their_slashes(path: str | None, expected: str) -> None:
    """A path is normalised to a prefix of keys."""
    assert normalise_path(path) == expected


@pytest.mark.parametrize("path", ["..", "a/..", "./a", "a\\b", "C:\\data", "a\0", "a\n/b"])
def test_bad_paths(path: str) -> None:
    """A path that cannot be a prefix of keys is rejected."""
    with pytest.raises(KeyValidationError):
        normalise_path(path)


@given(st.one_of(AWKWARD, st.text()))
def test_a_normal_path_is_normal(path: str) -> None:
    """Normalising a path twice has no effect."""
    try:
        normal = normalise_path(path)
    except KeyValidationError:
        return
    assert normalise_path(normal) == normal
    if normal:
        validate_key(normal)


@pytest.mark.parametrize("path", [1, b"a", ("a",)])
def test_a_path_is_a_string(path: object) -> None:
    """A path that is not a string raises TypeError."""
    with pytest.raises(TypeError, match="string"):
        normalise_path(path)
    with pytest.raises(TypeError, match="string"):
        validate_key(path)
