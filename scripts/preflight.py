"""Checks what an installation needs before it starts: free ports and disk. Standard library only; any Python 3.

Prints every problem with its fix and exits 1, or prints nothing.
"""

import errno
import os
import re
import shutil
import socket
import subprocess
import sys

DISK_BYTES = 4 * 10**9
PORTS = (("API_PORT", 8000),)  # the MLflow UI moves to another port by itself


def setting(name, default):
    """A setting from the environment, else from .env, else the default."""
    if name in os.environ:
        return os.environ[name]
    try:
        with open(".env", encoding="utf-8") as file:
            found = re.findall(rf"^{name}=(\S+)", file.read(), re.MULTILINE)
    except FileNotFoundError:
        found = []
    return found[-1] if found else default


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


def port_problem(name, default):
    """Why a port cannot be had, or None."""
    port = int(setting(name, default))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Port {port} is taken by {holder(port)}: stop it, or run {name}=8001 scripts/up"
            return f"Port {port} cannot be used ({error.strerror}): run {name}=8001 scripts/up"
    return None


def problems():
    """Every problem, in words."""
    found = [port_problem(name, default) for name, default in PORTS]
    free = shutil.disk_usage(".").free
    if free < DISK_BYTES:
        found.append(f"Only {free / 1e9:.1f} GB are free here; the installation and first models need 4 GB: free some.")
    return [problem for problem in found if problem]


if __name__ == "__main__":
    lines = problems()
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.exit(1 if lines else 0)
