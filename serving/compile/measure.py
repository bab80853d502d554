"""How long a call takes, by the rows in it."""

import time
from collections.abc import Callable
from typing import Final

from serving.bundle import LatencyProfile
from serving.compile.parity_rows import take
from serving.rows import Rows

ROW_COUNTS: Final = (1, 8, 64, 256)


def measure(predict: Callable[[Rows], object], rows: Rows, *, seconds_per_size: float = 0.15) -> LatencyProfile:
    """Median seconds of a call with 1, 8, 64 and 256 rows (repeated from `rows`), after warming.

    At least 3 calls of each size, and no more than fit into `seconds_per_size` beside.
    """
    return LatencyProfile({count: _median(predict, _repeat(rows, count), seconds_per_size) for count in ROW_COUNTS})


def _median(predict: Callable[[Rows], object], rows: Rows, seconds: float) -> float:
    predict(rows)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 1000):
        start = time.perf_counter()
        predict(rows)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def _repeat(rows: Rows, count: int) -> Rows:
    return take(rows, [index % len(rows) for index in range(count)])
