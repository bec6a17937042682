"""Replays seeds and prints their traces: `python -m tests.robustness.simulation --seed 7`."""

import argparse
import sys
import time
import traceback
from collections import Counter

from tests.robustness.simulation.play import Played, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.simulation")
    parser.add_argument("--seed", type=int, required=True, help="the first seed to play")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--trace", action="store_true", help="tell what happened, line by line")
    options = parser.parse_args()
    begun, seen, failed = time.monotonic(), Counter[str](), 0
    for seed in range(options.seed, options.seed + options.seeds):
        played = play(seed)
        seen += played.seen
        if options.trace:
            sys.stdout.write("\n".join(played.told()) + "\n")
        if played.error:
            failed += 1
            _tell_error(played)
    seconds = time.monotonic() - begun
    if options.seeds > 1:
        for what, times in sorted(seen.items()):
            sys.stdout.write(f"{times:>8} {what}\n")
    rate = 60 * options.seeds / seconds
    sys.stdout.write(f"{options.seeds} seeds, {failed} failed, {rate:,.0f} seeds a minute\n")
    return 1 if failed else 0


def _tell_error(played: Played) -> None:
    assert played.error
    traceback.print_exception(played.error, file=sys.stdout)
    sys.stdout.write(f"seed {played.seed} failed; to see it again:\n  {played.replay}\n")


if __name__ == "__main__":
    sys.exit(main())
