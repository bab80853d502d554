"""How long the unit tests and the whole CI take.

The unit tests are run here. The whole CI is run only when PROVE_CI=run; else the figure counts that `.ci/run` itself
wrote when it last passed on this machine.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

from prove.bars import Figure, Result
from prove.system import ROOT

CI_SECONDS = ROOT / ".ci" / "seconds"


def prove() -> Result:
    """Both figures; the second is not met while the whole CI has never passed here."""
    result = Result(
        "ci",
        [Figure("unit tests", _seconds_of([sys.executable, "-m", "pytest", "-q", "tests/unit"]), 30, "at most", "s")],
    )
    if os.environ.get("PROVE_CI") == "run":
        _seconds_of([str(ROOT / ".ci" / "run")])
    if not CI_SECONDS.exists():
        result.notes.append("the whole CI has not run here yet: .ci/run, or PROVE_CI=run scripts/prove ci")
        result.figures.append(Figure("passes of the whole CI here", 0, 1, "at least"))
        return result
    day = datetime.fromtimestamp(CI_SECONDS.stat().st_mtime, UTC).date()
    result.figures.append(Figure("whole CI", float(CI_SECONDS.read_text()) / 60, 20, "at most", "min"))
    result.notes.append(f"whole CI: as .ci/run measured itself on {day}, the installation included")
    return result


def _seconds_of(command: list[str]) -> float:
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.monotonic() - begun
