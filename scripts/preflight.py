"""Checks what an installation needs before it starts: free ports and disk. Standard library only; any Python 3.

Prints every problem with its fix and exits 1, or prints nothing.
"""

import errno
import re
import shutil
import socket
import subprocess
import sys

from settings import setting

DISK_BYTES = 4 * 10**9
SECOND_MLFLOW_PORT = 5050


def holder(port):
    """Who listens on a port, as far as this system tells."""
    for command in (["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"], ["ss", "-ltnpH", f"sport = :{port}"]):
        try:
            text = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        lsof = re.search(r"^p(\d+)\nc(.+)$", text, re.MULTILINE)
        if lsof:
            return f"{lsof.group(2)} (pid {lsof.group(1)})"
        ss = re.search(r'\("([^"]+)",pid=(\d+)', text)
        if ss:
            return f"{ss.group(1)} (pid {ss.group(2)})"
    return "another process"


def refusal(host, port):
    """The system's error where one cannot listen, else None."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()  # macOS lets a second one bind, but not listen
        except OSError as error:
            return error
    return None


def free_port_near(host, port):
    """A port that can be had, above one that cannot."""
    return next((other for other in range(port + 1, min(port + 100, 65536)) if refusal(host, other) is None), 0)


def port_problem(name, host, port):
    """Why a port cannot be had, with the way out, or None."""
    error = refusal(host, port)
    if error is None:
        return None
    what = f"cannot be used ({error.strerror or error})"
    if error.errno == errno.EADDRINUSE:
        what = f"is taken by {holder(port)}"
    if error.errno == errno.EACCES:
        port, what = 8000, f"{what}: this user may only use ports above 1023"
    return f"Port {setting(name, port)} {what}: stop it, or run {name}={free_port_near(host, port)} scripts/up"


def number_of(name, default):
    """A port among the settings."""
    text = setting(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{name}={text} is no port: give a number from 1 to 65535")
    return int(text)


def ui_problem():
    """The MLflow UI moves to another port by itself, unless its port was chosen by hand."""
    if str(setting("MLFLOW_UI", "true")).lower() in ("false", "0", "no", "off") or setting("MLFLOW_TRACKING_URI"):
        return None
    port = number_of("MLFLOW_PORT", 5000)
    if setting("MLFLOW_PORT") is None and refusal("127.0.0.1", SECOND_MLFLOW_PORT) is None:
        return None
    return port_problem("MLFLOW_PORT", "127.0.0.1", port)


def problems():
    """Every problem, in words."""
    try:
        api = port_problem("API_PORT", setting("API_HOST", "127.0.0.1"), number_of("API_PORT", 8000))
        found = [api, ui_problem()]
    except ValueError as error:
        found = [str(error)]
    free = shutil.disk_usage(".").free
    if free < DISK_BYTES:
        found.append(f"Only {free / 1e9:.1f} GB are free here; the installation and first models need 4 GB: free some.")
    return [problem for problem in found if problem]


if __name__ == "__main__":
    lines = problems()
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.exit(1 if lines else 0)
