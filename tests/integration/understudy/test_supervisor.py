import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from understudy.errors import AlreadyRunningError, PortTakenError
from understudy.supervisor import children
from understudy.supervisor.children import ChildSpec, open_log
from understudy.supervisor.ports import open_listener
from understudy.supervisor.signals import Signals
from understudy.supervisor.state import SupervisorLock, SupervisorState, is_locked, read_state, write_state
from understudy.supervisor.supervisor import Death, Supervisor

Python = Callable[..., ChildSpec]
Eventually = Callable[[Callable[[], object]], None]

FOREVER = "import signal; signal.pause()"
# Writes its mark, then stops at SIGTERM, writing another mark, after a while.
TELLTALE = """
import signal, sys, time
def stop(number, frame):
    time.sleep(0.2)
    open(sys.argv[1], "a").write(f"{sys.argv[2]} stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1], "a").write(f"{sys.argv[2]} runs\\n")
while True:
    signal.pause()
"""
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write("up")
while True:
    signal.pause()
"""


def deaths_until(supervisor: Supervisor, count: int) -> list[Death]:
    deaths: list[Death] = []
    while len(deaths) < count:
        supervisor.wait(5.0)
        deaths += supervisor.step()
    return deaths


def test_a_killed_child_is_started_again_at_once(supervisor: Supervisor, python: Python) -> None:
    supervisor.start([python("worker", FOREVER)])
    (child,) = supervisor.children
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)

    assert deaths_until(supervisor, 1) == [Death("worker", first, -signal.SIGKILL, 1, 0.0)]
    assert child.pid not in {None, first}
    assert child.restarts == 1


def test_a_child_that_keeps_dying_is_started_after_growing_pauses(supervisor: Supervisor, python: Python) -> None:
    supervisor.start([python("worker", "raise SystemExit(3)")])

    deaths = deaths_until(supervisor, 4)

    assert [death.pause_seconds for death in deaths] == [0.0, 0.2, 0.4, 0.8]
    assert {death.exit_code for death in deaths} == {3}


def test_the_api_is_stopped_before_anything_else(
    supervisor: Supervisor, python: Python, eventually: Eventually, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    supervisor.start(
        [
            python("reader", TELLTALE, str(marks), "reader", stop_rank=1),
            python("api", TELLTALE, str(marks), "api", stop_rank=0),
        ]
    )
    eventually(lambda: marks.exists() and marks.read_text().count("runs") == 2)

    supervisor.stop()

    assert marks.read_text().splitlines()[2:] == ["api stopped", "reader stopped"]
    assert [child.pid for child in supervisor.children] == [None, None]


def test_a_child_that_will_not_stop_is_killed_after_its_grace_time(
    signals: Signals, python: Python, eventually: Eventually, tmp_path: Path
) -> None:
    supervisor = Supervisor(signals, grace_seconds=0.3)
    supervisor.start([python("stubborn", STUBBORN, str(tmp_path / "up"))])
    eventually((tmp_path / "up").exists)

    supervisor.stop()

    assert supervisor.children[0].last_exit == -signal.SIGKILL


def test_a_second_request_to_stop_does_not_wait(
    signals: Signals, supervisor: Supervisor, python: Python, eventually: Eventually, tmp_path: Path
) -> None:
    supervisor.start([python("stubborn", STUBBORN, str(tmp_path / "up"))])
    eventually((tmp_path / "up").exists)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)

    supervisor.stop()

    assert signals.stopping
    assert supervisor.children[0].last_exit == -signal.SIGKILL


def test_a_child_has_a_group_of_its_own_in_our_session(supervisor: Supervisor, python: Python) -> None:
    supervisor.start([python("worker", FOREVER)])
    pid = supervisor.children[0].pid
    assert pid

    assert os.getpgid(pid) == pid
    assert os.getsid(pid) == os.getsid(0)


def test_a_child_writes_into_its_own_log_file(
    supervisor: Supervisor, python: Python, eventually: Eventually, tmp_path: Path
) -> None:
    supervisor.start([python("worker", "print('hello', flush=True); import signal; signal.pause()")])

    eventually(lambda: (tmp_path / "logs" / "worker.log").read_text() == "hello\n")


def test_a_large_log_file_is_put_aside_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_FILE_BYTES", 10)
    (tmp_path / "worker.log").write_text("eleven bytes")

    with open_log(tmp_path, "worker") as log:
        log.write(b"new")

    assert (tmp_path / "worker.log").read_text() == "new"
    assert (tmp_path / "worker.log.1").read_text() == "eleven bytes"


def test_a_killed_worker_refuses_no_connection(supervisor: Supervisor, eventually: Eventually, tmp_path: Path) -> None:
    program = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""
    listener = open_listener("127.0.0.1", 0, "API_PORT")
    fd = listener.fileno()
    argv = (sys.executable, "-c", program, str(fd))
    supervisor.start([ChildSpec(name="api", argv=argv, file_descriptors=(fd,))])
    first = answer_of(listener.getsockname()[1])
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)  # dead, and left for the supervisor to find

    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(answer_of(listener.getsockname()[1])))
    caller.start()  # nobody accepts now, and yet it is not refused
    deaths_until(supervisor, 1)
    caller.join()

    assert answers == [supervisor.children[0].pid]
    listener.close()


def answer_of(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
        return int(caller.recv(20))


def test_a_taken_port_is_named_with_its_holder_and_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(PortTakenError, match=rf"Port {port} is taken by .*pid {os.getpid()}.*set API_PORT"):
            open_listener("127.0.0.1", port, "API_PORT")


def test_an_address_that_is_not_ours_names_the_variable() -> None:
    with pytest.raises(PortTakenError, match="API_PORT"):
        open_listener("192.0.2.1", 8000, "API_PORT")


def test_a_second_supervisor_on_one_folder_is_refused_by_pid(tmp_path: Path) -> None:
    lock = SupervisorLock(tmp_path / "run")

    with pytest.raises(AlreadyRunningError, match=rf"already runs on {tmp_path} \(pid {os.getpid()}\)"):
        SupervisorLock(tmp_path / "run")

    lock.release()
    SupervisorLock(tmp_path / "run").release()


def test_the_state_is_told_only_while_its_supervisor_lives(tmp_path: Path) -> None:
    lock = SupervisorLock(tmp_path)
    state = SupervisorState(pid=1, started_at=datetime.now(UTC), phase="running")
    write_state(tmp_path, state)
    assert is_locked(tmp_path)
    assert read_state(tmp_path) == state

    lock.release()

    assert not is_locked(tmp_path)
    assert read_state(tmp_path) is None


KILLED_SUPERVISOR = """
import os, sys
from understudy.process import SUPERVISOR_PID
from understudy.supervisor.children import ChildSpec
from understudy.supervisor.signals import Signals
from understudy.supervisor.supervisor import Supervisor
child = sys.argv[1]
environment = {SUPERVISOR_PID: str(os.getpid())}
supervisor = Supervisor(Signals(), grace_seconds=5)
supervisor.start([ChildSpec(name=n, argv=(sys.executable, "-c", child, n), environment=environment) for n in "ab"])
while True:
    supervisor.wait(5)
    supervisor.step()
"""
# `b` has a child of its own, which knows the supervisor only by its process id.
DEPENDENT = """
import signal, subprocess, sys, time
from understudy.process import die_with_supervisor, stop_event
stop_event()
die_with_supervisor()
if sys.argv[1] == "b":
    subprocess.Popen([sys.executable, "-c", sys.orig_argv[2], "c"])
print(sys.argv[1], "ready", flush=True)
while True:
    signal.pause()
"""


def test_all_children_die_with_a_killed_supervisor(eventually: Eventually) -> None:
    argv = [sys.executable, "-c", KILLED_SUPERVISOR, DEPENDENT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        for _ in "abc":
            supervisor.stdout.readline()
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(family) == 3

        supervisor.kill()

        eventually(lambda: not any(member.is_running() and member.status() != "zombie" for member in family))
