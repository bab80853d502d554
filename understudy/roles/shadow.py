"""The shadow of one alias: reads the log and answers again, unseen. A thread per model, one process for all."""

import argparse
import sys
import threading

from understudy.process import low_priority, stop_event

MODEL_COMMAND = (sys.executable, "-m", "understudy", "run", "model")
_FIGURES_SECONDS = 5.0


def main() -> int:
    """Runs until told to stop."""
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--alias", default="shadow", help="registry alias of the versions that answer")
    alias = parser.parse_args().alias
    stop = stop_event()
    low_priority()
    return run(alias, stop)


def run(alias: str, stop: threading.Event) -> int:
    """Starts a follower per model and waits; ends with 1 when one of them has ended by itself."""
    # After low_priority: numerical libraries read their thread limits when they are imported.
    from serving.loader.specs import parse_specs
    from serving.settings import ServingSettings
    from serving.shadow.figures import show_usage
    from serving.shadow.follow import ShadowFollower, ShadowParts
    from streaming.segments import open_segment_log
    from streaming.settings import StreamingSettings

    settings = ServingSettings()
    parts = ShadowParts(settings, open_segment_log(StreamingSettings()), MODEL_COMMAND)
    names = [spec.name for spec in parse_specs(settings.models, settings.production_alias)]
    threads = [
        threading.Thread(target=ShadowFollower(alias, name, parts).run, args=(stop,), name=f"shadow-{name}")
        for name in names
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(_FIGURES_SECONDS) and all(thread.is_alive() for thread in threads):
        show_usage(alias)
    failed = not stop.is_set()
    stop.set()
    for thread in threads:
        thread.join()
    return int(failed)
