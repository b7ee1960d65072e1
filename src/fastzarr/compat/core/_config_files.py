"""Files with zarr-python's settings: where they are, and what they set.

Rules of this file:

* The places and their order are those of donfig, which zarr-python reads its settings with: the
  machine's, those of the installations of Python, the user's, and what ``ZARR_CONFIG`` names. The
  later ones win.
* PyYAML is imported only if there is a file in YAML.
"""

from __future__ import annotations

import json
import os
import site
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from fastzarr.errors import ZarrUserWarning, caller_level

_ENDS = {".json", ".yaml", ".yml"}


def places() -> list[Path]:
    """Return the folders, or files, of settings; a later one wins.

    >>> places()[-1].name
    'zarr'
    """
    own = Path(os.environ.get("ZARR_ROOT_CONFIG", "/etc/zarr"))
    installed = [Path(prefix, "etc", "zarr") for prefix in (sys.prefix, *site.PREFIXES)]
    user = Path("~/.config/zarr").expanduser()
    named = [Path(os.environ["ZARR_CONFIG"])] if "ZARR_CONFIG" in os.environ else []
    found = [own, *installed, user, *named]
    # Where one is named twice, its last place counts.
    return list(dict.fromkeys(reversed(found)))[::-1]


def files(place: Path) -> list[Path]:
    """Return the files of settings at a place, in their order; none that cannot be listed."""
    if not place.is_dir():
        return [place] if place.exists() else []
    try:
        return sorted(path for path in place.iterdir() if path.suffix.lower() in _ENDS)
    except OSError:
        return []


def settings() -> list[dict[str, Any]]:
    """Return the settings of each file, nested as in it.

    Raise ValueError, naming the file, if one cannot be parsed, or has no mapping. Warn if PyYAML is
    missing.
    """
    return [found for place in places() for path in files(place) if (found := _read(path))]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text()
    except OSError:  # as donfig, which passes over what others may not read
        return None
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text, path)
    except Exception as error:  # of whatever class the parser raises
        msg = f"the settings in {path} cannot be read: {error}"
        raise ValueError(msg) from error
    if found is None or isinstance(found, dict):
        return found
    msg = f"the settings in {path} must be a mapping, not {type(found).__name__}"
    raise ValueError(msg)


def _yaml(text: str, path: Path) -> Any:
    try:
        yaml = import_module("yaml")
    except ImportError:
        msg = f"the settings in {path} have no effect, as PyYAML is not installed"
        warnings.warn(msg, ZarrUserWarning, stacklevel=caller_level())
        return None
    return yaml.safe_load(text)
