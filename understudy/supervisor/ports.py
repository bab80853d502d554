"""Listening sockets, and who holds a port that is taken."""

import errno
import socket

import psutil

from understudy.errors import PortTakenError

BACKLOG = 2048


def open_listener(host: str, port: int, variable: str) -> socket.socket:
    """Listens on host and port (0: any free one).

    `variable` is the setting a person may change, named in the error.

    Raises:
        PortTakenError: Someone listens there, or the address is not ours.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortTakenError(_explain(host, port, variable, error)) from error


def is_free(host: str, port: int) -> bool:
    """Whether one could listen there now."""
    try:
        open_listener(host, port, "").close()
    except PortTakenError:
        return False
    return True


def holder_of(port: int) -> str | None:
    """Name and process id of who listens on a port, where we are allowed to see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):  # macOS shows other processes' sockets to root only
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return f"{_process_name(connection.pid)} (pid {connection.pid})"
    return None


def _process_name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "a process"


def _explain(host: str, port: int, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port) or "another process"
        return f"Port {port} is taken by {holder}: stop it, or set {variable} to a free port."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has: set {variable} to a port above 1023."
    return f"Cannot listen on {host}:{port}: {error.strerror or error}. Check the address, or set {variable}."
