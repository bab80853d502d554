import os
import signal
import subprocess
import sys

import psutil
import pytest

LOW_PRIORITY = """
from understudy.process import low_priority
low_priority()
import os, subprocess, sys, threading
policy = "import os; print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), os.environ['OMP_NUM_THREADS'])"
thread = threading.Thread(target=exec, args=(policy,))
thread.start(); thread.join()
sys.stdout.flush()
subprocess.run([sys.executable, "-c", policy])
"""
STOPPABLE = """
from understudy.process import stop_event
stop = stop_event()
print("ready", flush=True)
stop.wait()
print("stopped cleanly")
"""
GRACEFUL = """
from understudy.process import die_with_supervisor, stop_event
stop = stop_event()
die_with_supervisor(grace_seconds=20)
print("ready", flush=True)
stop.wait()
print("stopped cleanly", flush=True)
"""
MIDDLE = """
import os, signal, subprocess, sys
environment = {**os.environ, "SUPERVISOR_PID": str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux's")
def test_low_priority_is_idle_for_later_threads_and_children_with_one_thread_each() -> None:
    lines = subprocess.run([sys.executable, "-c", LOW_PRIORITY], capture_output=True, text=True, check=True).stdout

    idle = [line.split() for line in lines.splitlines()]

    assert idle == [[str(os.SCHED_IDLE), "0", "1"]] * 2


@pytest.mark.parametrize(
    ("number", "environment"),
    [(signal.SIGTERM, {}), (signal.SIGINT, {}), (signal.SIGTERM, {"SUPERVISOR_PID": str(os.getpid())})],
)
def test_a_signal_stops_cleanly(number: signal.Signals, environment: dict[str, str]) -> None:
    with started(STOPPABLE, environment) as process:
        process.send_signal(number)

        assert process.communicate(timeout=20)[0] == "stopped cleanly\n"


def test_ctrl_c_is_the_supervisors_to_handle() -> None:
    with started(STOPPABLE, {"SUPERVISOR_PID": str(os.getpid())}) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.terminate()

        assert process.communicate(timeout=20)[0] == "stopped cleanly\n"


def test_a_process_with_grace_finishes_its_work_when_the_supervisor_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", MIDDLE, GRACEFUL], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "ready\n"

        supervisor.kill()

        assert supervisor.stdout.readline() == "stopped cleanly\n"


def test_a_process_started_after_its_supervisor_died_ends_too() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not psutil.pid_exists(gone.pid)

    program = "from understudy.process import die_with_supervisor; die_with_supervisor(); import signal; signal.pause()"
    environment = {**os.environ, "SUPERVISOR_PID": str(gone.pid)}
    late = subprocess.run([sys.executable, "-c", program], env=environment, timeout=20, check=False)

    assert late.returncode == -signal.SIGKILL


def started(program: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process
