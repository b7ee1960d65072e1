"""Run a program until its end or that of standard input, so that it never outlives its user.

The arguments are a folder, which is deleted afterwards, and the command line.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading


def main() -> int:
    """Run the command line, and return its status."""
    process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)

    def watch() -> None:
        sys.stdin.read()
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    status = process.wait()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
