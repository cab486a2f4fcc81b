"""`make bench-rollout`: simulates rollouts under our rule and the field's, and prints one table."""

import argparse
from pathlib import Path

from bench.rollout.measure import Measuring
from bench.rollout.table import table


def main() -> None:
    """Prints the table; draws the pictures of the same rollouts where a folder is given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000, help="of each healthy candidate")
    parser.add_argument("--bad", type=int, help="of each bad one (default: a fifth)")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures, as SVG")
    given = parser.parse_args()
    measuring = Measuring(given.rollouts, given.bad or max(1, given.rollouts // 5))
    documented, calibrated = measuring.documented(), measuring.calibrated()
    measuring.close()
    print(table(documented, calibrated))
    if given.pictures:
        from bench.rollout.pictures import draw_all

        draw_all(documented, calibrated, given.pictures)


if __name__ == "__main__":
    main()
