"""Write the golden Blosc frames with numcodecs: `python make.py` in this folder.

Each `.bin` file is a sequence of records: five little-endian u32 (kind, element size, decoded
size, the bit that says "stored" is expected, frame size) and the frame. What a frame decodes to is
made again from kind, element size and decoded size, here and in `native/src/codecs/blosc/tests.rs`.
"""

import struct
from pathlib import Path

import numcodecs
from numcodecs import blosc

ZEROS, RAMP, NOISE, MIXED, STEPS = range(5)


def noise(n: int) -> bytes:
    out, x = bytearray(), 2463534242
    for _ in range(n):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        out.append(x >> 24)
    return bytes(out)


def content(kind: int, typesize: int, n: int) -> bytes:
    if kind == ZEROS:
        return bytes(n)
    if kind == NOISE:
        return noise(n)
    if kind == RAMP:
        return bytes((i // typesize * 3) >> (8 * (i % typesize)) & 255 for i in range(n))
    if kind == MIXED:
        random = noise(n)
        return bytes(random[i] if i % typesize == 0 else i // 64 & 255 for i in range(n))
    return bytes((i // typesize) >> 9 & 255 for i in range(n))


def cases(cname: str):
    for shuffle in (0, 1, 2):
        for typesize in (1, 2, 3, 4, 8, 16, 24):
            yield RAMP, shuffle, typesize, 16 * typesize + 130, 5, 0
        for typesize in (1, 12):
            yield RAMP, shuffle, typesize, 1603, 5, 512
        for typesize in (2, 4, 16):
            # Blocks of at least 64 KiB, split: three of them are asked for.
            yield STEPS, shuffle, typesize, 140_001, 3, 40_000 if cname == "zstd" else 1024
        for typesize in (2, 4, 8):
            yield MIXED, shuffle, typesize, 128 * typesize, 5, 0
        for n in (0, 1, 17, 127):
            yield RAMP, shuffle, 4, n, 5, 0
        yield NOISE, shuffle, 4, 300, 9, 0
        yield RAMP, shuffle, 4, 200, 0, 0
        yield ZEROS, shuffle, 8, 70_000, 1, 0
        yield RAMP, shuffle, 200, 150, 5, 0


def main() -> None:
    blosc.set_nthreads(1)
    for cname in blosc.list_compressors():
        out = bytearray()
        for kind, shuffle, typesize, n, level, blocksize in cases(cname):
            data = content(kind, typesize, n)
            frame = bytes(blosc.compress(data, cname.encode(), level, shuffle, blocksize, typesize))
            out += struct.pack("<5I", kind, typesize, n, frame[2] & 2, len(frame)) + frame
        Path(__file__).with_name(f"{cname}.bin").write_bytes(out)
        print(cname, len(out), "numcodecs", numcodecs.__version__, "c-blosc", blosc.VERSION_STRING)


if __name__ == "__main__":
    main()
