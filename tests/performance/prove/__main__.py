"""The command line of `scripts/prove`."""

import argparse
import dataclasses
import importlib
import json
import sys

from prove.bars import Result
from prove.write import write

PROOFS = {
    "throughput": "CPU and requests/s of the API worker beside a bare echo on the same server",
    "no-loss-smoke": "20 times SIGKILL of workers, shadow and indexer under load: nothing lost, nothing twice",
    "footprint": "memory of a worker, warm start, first start",
    "ci": "how long the unit tests and the whole CI take",
}


def main() -> int:
    """Runs one proof (or all); exit code 1 when a bar is not met."""
    options = _arguments()
    if options.list:
        for name, meaning in PROOFS.items():
            print(f"{name:16} {meaning}")  # noqa: T201 a command line prints
        return 0
    results = [_prove(name) for name in options.names or PROOFS]
    if options.write:
        for result in results:
            write(result)
    if options.json:
        print(json.dumps([{**dataclasses.asdict(result), "met": result.met} for result in results]))  # noqa: T201
    return 0 if all(result.met for result in results) else 1


def _prove(name: str) -> Result:
    print(f"== {name}: {PROOFS[name]}", file=sys.stderr, flush=True)  # noqa: T201
    result: Result = importlib.import_module(f"prove.{name.replace('-', '_')}").prove()
    for line in (*result.notes, *(figure.line() for figure in result.figures)):
        print(f"  {line}", file=sys.stderr, flush=True)  # noqa: T201
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/prove", description="Measures what the project promises.")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*PROOFS, []], help=f"of {', '.join(PROOFS)}")
    parser.add_argument("--list", action="store_true", help="lists the proofs")
    parser.add_argument("--json", action="store_true", help="prints the figures as JSON on standard output")
    parser.add_argument("--write", action="store_true", help="writes the figures into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
