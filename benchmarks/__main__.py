"""`python -m benchmarks [--only NAME …]`: what vodmill costs, and how fast it is.

The results go to docs/benchmarks.md, or with --dry-run nowhere. `film` takes long and is measured only when named.
"""

import argparse
import shutil
import sys

from benchmarks import cache, film, latency, outage, overhead, streams, workers
from benchmarks.report import dated, record
from benchmarks.running import HOME, say

MEASUREMENTS = {
    "latency": latency.measure,
    "overhead": overhead.measure,
    "workers": workers.measure,
    "cache": cache.measure,
    "outage": outage.measure,
    "streams": streams.measure,
    "film": film.measure,
}
USUAL = ("latency", "overhead", "workers", "cache", "outage", "streams")


def main() -> int:
    """Measure one after the other, and write each result down as it is there."""
    options = _options()
    try:
        for name in options.only or USUAL:
            result = dated(MEASUREMENTS[name](options))
            say(f"\n{name}: {result}\n")
            if not options.dry_run:
                record(name, result)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="measure this; may be repeated")
    parser.add_argument("--pairs", type=int, default=5, help="of overhead and workers")
    parser.add_argument("--seconds", type=int, default=60, help="of the source of overhead and workers")
    parser.add_argument("--steps", type=int, default=100, help="of latency; at least 2")
    parser.add_argument("--film-seconds", type=int, default=600)
    parser.add_argument("--dry-run", action="store_true", help="print the results only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
