"""scripts/install.py over a pip that only pretends."""

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

QUIET = "import sys; print('Collecting a'); print('Installing collected packages: a')"
HANGING = "import sys, time; print('Collecting a', flush=True); time.sleep(60)"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A real .venv with nothing in it."""
    folder = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def start(environment: Path, clone: Path) -> Iterator[Start]:
    """Starts an installation whose pip is this program."""
    started = []

    def begin(pip: str) -> "subprocess.Popen[str]":
        package = site_of(environment) / "pip"
        package.mkdir(exist_ok=True)
        (package / "__main__.py").write_text(pip)
        (clone / "lock.txt").write_text("a==1 \\\n    --hash=sha256:0\nb==2\n")
        command = [environment / "bin" / "python", clone / "scripts" / "install.py", clone / "lock.txt"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for child in started:
        with child:
            child.kill()


def site_of(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found


def said(child: "subprocess.Popen[str]") -> str:
    return child.communicate(timeout=30)[0]


def test_the_lock_is_installed_with_hashes_and_the_project_without_the_network(start: Start, environment: Path) -> None:
    child = start("import sys; open(sys.prefix + '/calls', 'a').write(' '.join(sys.argv[1:]) + '\\n')")
    text = said(child)
    assert child.returncode == 0, text
    assert "Installing up to 2 locked packages" in text
    first, second = (environment / "calls").read_text().splitlines()
    assert "--require-hashes -r" in first
    assert "--no-index -e" in second


def test_what_was_cut_off_is_taken_away_before_pip_takes_it_for_installed(start: Start, environment: Path) -> None:
    site = site_of(environment)
    (site / "half-1.dist-info").mkdir()
    (site / "half-1.dist-info" / "METADATA").touch()
    (site / "~old").mkdir()
    (site / "whole-1.dist-info").mkdir()
    (site / "whole-1.dist-info" / "RECORD").touch()
    said(start(QUIET))
    assert sorted(path.name for path in site.iterdir()) == ["pip", "whole-1.dist-info"]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full: free 4 GB"),
        ("ProxyError('Cannot connect to proxy.')", "check the network and the proxy settings"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", "not the locked one"),
        ("Could not find a version; No matching distribution found", "no package for this system or Python"),
        ("something else", "See the lines above"),
    ],
)
def test_a_failure_is_explained_with_what_to_do(start: Start, error: str, advice: str) -> None:
    child = start(f"import sys; print({'ERROR: ' + error!r}); sys.exit(1)")
    text = said(child)
    assert child.returncode == 1
    assert error in text
    assert advice in text
    assert "run the same command again: it goes on" in text


def test_all_that_pip_said_is_kept(start: Start, environment: Path) -> None:
    said(start("print('a rare word')"))
    assert "a rare word" in (environment / "install.log").read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_pip_and_says_how_to_go_on(start: Start, environment: Path, how: signal.Signals) -> None:
    child = start(HANGING)
    log = environment / "install.log"
    wait_for(lambda: log.exists() and child.stdout is not None and "Installing" in child.stdout.readline())
    wait_for(lambda: pip_of(child.pid) is not None)
    pip = pip_of(child.pid)
    assert pip is not None
    child.send_signal(how)
    assert "Run the same command again: it goes on where it was." in said(child)
    assert child.returncode == 130
    assert not Path(f"/proc/{pip}").exists()


def test_a_second_installation_waits_for_the_first(start: Start, environment: Path) -> None:
    with (environment / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start(QUIET)
        assert child.stdout is not None
        assert "under way: waiting for it" in child.stdout.readline()
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert "Installing up to 2" in said(child)
    assert child.returncode == 0


def pip_of(pid: int) -> int | None:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(found.split()[0]) if found.split() else None


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
