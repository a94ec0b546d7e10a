"""``python -m benchmarks``: the codec matrix, then the link matrix. Options go to both."""

from __future__ import annotations

import sys

from benchmarks import codec_matrix, link_matrix

SHARED = ("--quick", "--clips", "--out")


def main(arguments: list[str]) -> int:
    if any(a in ("-h", "--help") for a in arguments):
        print(f"{__doc__}\nShared options: {' '.join(SHARED)}")
        return 0
    return codec_matrix.main(arguments) or link_matrix.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
