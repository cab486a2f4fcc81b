"""`make bench`: every figure that README claims, measured in one go; ratios, not times of this machine."""

import subprocess
import sys

BENCHES = ("statistics", "input", "workers", "serving", "pipeline")


def main() -> None:
    """Runs the benches that are named, or all of them, each in a process of its own."""
    wanted = sys.argv[1:] or list(BENCHES)
    if unknown := set(wanted) - set(BENCHES):
        sys.exit(f"No such bench: {', '.join(sorted(unknown))}. There are {', '.join(BENCHES)}.")
    for name in wanted:
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)


if __name__ == "__main__":
    main()
