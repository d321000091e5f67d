"""`python -m benchmarks [--only NAME …]`: measure overhead, latency and throughput.

Results are written to docs/benchmarks.md unless --dry-run is given. `film` and `transfers` take long, and `watching`
requires Chromium (`make testsetup`): they are run only when named.
"""

import argparse
import shutil
import sys

from benchmarks import (
    cache,
    film,
    isolation,
    latency,
    live,
    livestreams,
    neighbours,
    outage,
    overhead,
    peers,
    playable,
    remux,
    streams,
    thumbnails,
    transfers,
    viewing,
    watching,
    workers,
)
from benchmarks.report import dated, record
from benchmarks.running import HOME, report

MEASUREMENTS = {
    "latency": latency.measure,
    "isolation": isolation.measure,
    "playable": playable.measure,
    "watching": watching.measure,
    "overhead": overhead.measure,
    "peers": peers.measure,
    "workers": workers.measure,
    "thumbnails": thumbnails.measure,
    "cache": cache.measure,
    "outage": outage.measure,
    "streams": streams.measure,
    "viewing": viewing.measure,
    "remux": remux.measure,
    "live": live.measure,
    "livestreams": livestreams.measure,
    "neighbours": neighbours.measure,
    "film": film.measure,
    "transfers": transfers.measure,
}
DEFAULTS = (
    "latency",
    "isolation",
    "playable",
    "overhead",
    "peers",
    "workers",
    "thumbnails",
    "cache",
    "outage",
    "streams",
    "viewing",
    "remux",
    "live",
    "livestreams",
    "neighbours",
)


def main() -> int:
    """Run the measurements in turn and record each result."""
    options = _options()
    try:
        for name in options.only or DEFAULTS:
            result = dated(MEASUREMENTS[name](options))
            report(f"\n{name}: {result}\n")
            if not options.dry_run:
                record(name, result)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="name of a measurement; may be repeated")
    parser.add_argument(
        "--pairs",
        type=int,
        default=5,
        help="number of pairs for playable, overhead, peers, workers, thumbnails, remux and livestreams",
    )
    lengths = f"length of the source for overhead, workers, thumbnails and peers (there at most {peers.MAX_SECONDS})"
    parser.add_argument("--seconds", type=int, default=60, help=lengths)
    parser.add_argument("--steps", type=int, default=100, help="number of steps for latency; at least 2")
    parser.add_argument("--outage-seconds", type=int, default=60, help="length of each load of outage")
    parser.add_argument("--transfer-mb", type=int, default=1000, help="size of the file for transfers, in MB")
    parser.add_argument("--film-seconds", type=int, default=600, help="length of the source for film")
    parser.add_argument("--dry-run", action="store_true", help="print the results only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
