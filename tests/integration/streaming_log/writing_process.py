"""Appends numbered events until it is killed, and says after each append how many are acked.

Usage: python writing_process.py DATA_DIR DURABILITY SEGMENT_BYTES [MAX_BYTES [MAX_FILE_BYTES]]
"""

import os
import resource
import sys

from streaming.errors import LogUnavailableError
from streaming.segments import SegmentLog
from streaming.settings import StreamingSettings


def main(data_dir: str, durability: str, segment_bytes: str, max_bytes: str = "1000000000", *limits: str) -> None:
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    settings = StreamingSettings.model_validate(
        {
            "data_dir": data_dir,
            "durability": durability,
            "log_segment_bytes": segment_bytes,
            "log_max_bytes": max_bytes,
            "log_reserve_bytes": 0,
        }
    )
    writer = SegmentLog(settings).writer()
    acked = 0
    while True:
        groups = [[b"%d:%d" % (os.getpid(), acked)], [b"%d:%d" % (os.getpid(), acked + step) for step in (1, 2)]]
        try:
            writer.append([[event.ljust(200, b".") for event in group] for group in groups])
        except LogUnavailableError as error:
            os.write(1, f"refused {type(error).__name__}\n".encode())
            return
        acked += 3
        os.write(1, b"%d\n" % acked)


if __name__ == "__main__":
    main(*sys.argv[1:])
