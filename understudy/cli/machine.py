"""up, down, reset: the supervisor of this machine."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import typer

from understudy.errors import AlreadyRunningError, FrontDoorError
from understudy.settings import UnderstudySettings
from understudy.story import Story
from understudy.supervisor.children import open_log
from understudy.supervisor.state import Phase, is_locked, read_state


def up(workers: int | None = None) -> int:
    """Runs the supervisor here."""
    from understudy.up import bring_up

    _set_workers(workers)
    return bring_up(Story())


def _set_workers(workers: int | None) -> None:
    if workers is not None:
        os.environ["WORKERS"] = str(workers)  # read by this process's settings, and by every child


def up_detached(workers: int | None = None) -> int:
    """Starts the supervisor in a session of its own, tells its story, and returns when it is ready."""
    _set_workers(workers)
    settings = UnderstudySettings()
    if is_locked(settings.data_dir / "run"):
        raise AlreadyRunningError(
            f"Understudy already runs on {settings.data_dir.absolute()}: see `understudy status`."
        )
    log = open_log(settings.data_dir / "logs", "supervisor")
    phase: Phase = "starting"
    with log, Path(log.name).open("rb") as story:
        story.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            [sys.executable, "-m", "understudy", "up"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while child.poll() is None and not _is_settled(phase := _phase(settings.data_dir / "run", child.pid)):
                _pass_on(story.read())
                time.sleep(0.1)
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
        _pass_on(story.read())
    return (1 if phase == "unready" else 0) if child.returncode is None else child.returncode


def _phase(run_dir: Path, pid: int) -> Phase:
    state = read_state(run_dir)
    return state.phase if state is not None and state.pid == pid else "starting"


def _is_settled(phase: Phase) -> bool:
    return phase in {"running", "unready"}


def _pass_on(text: bytes) -> None:
    sys.stdout.write(text.decode("utf-8", "replace"))
    sys.stdout.flush()


def down() -> int:
    """Stops the supervisor of this DATA_DIR and waits until all is stopped."""
    settings = UnderstudySettings()
    run_dir = settings.data_dir / "run"
    story = Story()
    pid = _holder(run_dir)
    if pid is None:
        story.say(f"Nothing runs on {settings.data_dir.absolute()}.")
        return 0
    os.kill(pid, signal.SIGTERM)
    begun, limit = time.monotonic(), 2 * settings.stop_grace_seconds + 5
    with story.bar("Stopping", limit) as bar:
        while is_locked(run_dir) and time.monotonic() - begun < limit:
            time.sleep(0.05)
            bar.to(time.monotonic() - begun)
    if is_locked(run_dir):
        os.kill(pid, signal.SIGKILL)
        story.warn("It did not stop in time and was killed; nothing acknowledged is lost.")
        return 1
    story.say("Stopped.")
    return 0


def _holder(run_dir: Path) -> int | None:
    if not is_locked(run_dir):
        return None
    text = (run_dir / "supervisor.lock").read_text().strip()
    return int(text) if text.isdigit() else None


def reset(*, sure: bool) -> int:
    """Deletes DATA_DIR when nothing runs on it."""
    data_dir = UnderstudySettings().data_dir.absolute()
    if is_locked(data_dir / "run"):
        raise FrontDoorError("Understudy runs on this folder: stop it first with `understudy down`.")
    if not data_dir.exists():
        Story().say(f"{data_dir} is not there: nothing to delete.")
        return 0
    _refuse_foreign(data_dir)
    if not sure and not typer.confirm(f"Delete {data_dir} with all models, runs and events in it?"):
        return 1
    shutil.rmtree(data_dir)
    Story().say(f"Deleted {data_dir}.")
    return 0


OURS = re.compile(
    r"bundles|log|logs|mlartifacts|run|shadow|store"
    r"|mlflow\.db(-\w+)?|trust\.(json|lock)|\.?api-keys\.json(\.\w+)?"
)


def _refuse_foreign(data_dir: Path) -> None:
    """A DATA_DIR set to a home folder by mistake must survive."""
    foreign = sorted(entry.name for entry in data_dir.iterdir() if not OURS.fullmatch(entry.name))
    if foreign:
        raise FrontDoorError(
            f"{data_dir} also holds {', '.join(foreign[:5])}, which Understudy did not write: "
            "move that away, or delete the folder yourself."
        )
