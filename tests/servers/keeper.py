"""Run a program until its end or that of standard input, so that it never outlives its user."""

from __future__ import annotations

import subprocess
import sys
import threading


def main() -> int:
    """Run the command line of the arguments, and return its status."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def watch() -> None:
        sys.stdin.read()
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
