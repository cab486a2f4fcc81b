"""`make bench`: every figure that README claims, measured in one go; ratios, not times of this machine."""

import sys

from bench import input as input_
from bench import pipeline, statistics, workers

BENCHES = {"statistics": statistics, "input": input_, "workers": workers, "pipeline": pipeline}


def main() -> None:
    """Runs the benches that are named, or all of them."""
    wanted = sys.argv[1:] or list(BENCHES)
    if unknown := set(wanted) - BENCHES.keys():
        sys.exit(f"No such bench: {', '.join(sorted(unknown))}. There are {', '.join(BENCHES)}.")
    for name in wanted:
        BENCHES[name].main()


if __name__ == "__main__":
    main()
