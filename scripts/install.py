"""Brings the environment it runs in to a lock file: `install.py LOCK`. Standard library only.

Shows progress all the time, also while pip is silent. What a cut-off run left half unpacked is taken away first:
pip would take it for installed.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time

SITE = sysconfig.get_paths()["purelib"]
LOG = os.path.join(sys.prefix, "install.log")
BEAT_SECONDS = 5.0
ADVICE = (
    (r"No space left", "The disk is full: free 4 GB"),
    (r"NewConnectionError|ConnectTimeout|Name or service not known|Connection (refused|reset)|ProxyError|ReadTimeout",
     "The package index cannot be reached: check the network and the proxy settings"),
    (r"DO NOT MATCH THE HASHES", "A downloaded package is not the locked one: check the index or mirror that pip uses"),
    (r"No matching distribution", "There is no package for this system or Python: Linux, macOS and Python 3.11 to 3.13"),
    (r"Permission denied", "Not all of .venv belongs to you: remove it, or run as its owner"),
)  # fmt: skip


def half_unpacked():
    """What an interrupted pip left: its record of files is written last, and old versions lie aside as `~name`."""
    for name in os.listdir(SITE):
        path = os.path.join(SITE, name)
        if name.startswith("~") or (name.endswith(".dist-info") and not os.path.exists(os.path.join(path, "RECORD"))):
            yield path


def unpacked():
    """How many packages are wholly there."""
    return sum(os.path.exists(os.path.join(SITE, name, "RECORD")) for name in os.listdir(SITE))


def say(text):
    """One line, at once; nobody may be reading any more."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


class Progress:
    """Counts pip's lines, and speaks in its stead when it is silent."""

    def __init__(self, total):
        self.total, self.found, self.unpacking, self.begun = total, 0, False, time.monotonic()
        self.doing, self.done = "looking for packages", threading.Event()

    def line(self, text):
        """Takes one line of pip's output."""
        words = text.split()
        if text.startswith(("Collecting", "Requirement already satisfied")):
            self.found += 1
        elif len(words) > 1 and words[0] == "Downloading":
            self.doing = "downloading " + " ".join(words[1:]).rsplit("/", 1)[-1]
        elif text.startswith("Installing collected"):
            self.unpacking = True
        elif text.startswith("WARNING: Retrying"):
            say("  the package index does not answer, trying again")
        elif text.startswith(("ERROR", "error")):
            say("  " + text.strip()[:300])

    def beat(self):
        """Says every few seconds how far it is."""
        while not self.done.wait(BEAT_SECONDS):
            seconds = time.monotonic() - self.begun
            what = f"{min(self.found, self.total)} of about {self.total} packages found, {self.doing}"
            if self.unpacking:
                what = f"unpacking, the longest step: {min(unpacked(), self.total)} of about {self.total} packages"
            say(f"  {seconds:4.0f} s  {what}")


def pip(arguments, progress):
    """Runs pip; exit code and what it said."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        *arguments,
    ]
    said = []
    with (
        open(LOG, "a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        try:
            for line in child.stdout:
                log.write(line)
                said.append(line)
                progress.line(line.lstrip())
        except BaseException:
            child.terminate()  # it also got the terminal's Ctrl-C, but perhaps no terminal was there
            raise
    return child.returncode, "".join(said[-200:])


def install(lock):
    """Installs the lock and then the project; exit code."""
    with open(lock, encoding="utf-8") as file:
        total = len(re.findall(r"^[A-Za-z0-9]", file.read(), re.MULTILINE))
    for path in list(half_unpacked()):
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
    say(
        f"Installing up to {total} locked packages into .venv: some minutes the first time; safe to interrupt and repeat"
    )
    progress = Progress(total)
    threading.Thread(target=progress.beat, daemon=True).start()
    project = os.path.dirname(os.path.abspath(lock))
    code, said = pip(["--require-hashes", "-r", lock], progress)
    if code == 0:
        code, said = pip(["--no-deps", "--no-build-isolation", "--no-index", "-e", project], progress)
    progress.done.set()
    if code:
        advice = next((text for pattern, text in ADVICE if re.search(pattern, said)), "See the lines above")
        say(f"The installation failed. {advice}; then run the same command again: it goes on. All it said: {LOG}")
    return 1 if code else 0


def main():
    """One installation at a time; Ctrl-C and SIGTERM end it with a word."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open(os.path.join(sys.prefix, ".installing"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another installation into this .venv is under way: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            return install(sys.argv[1])
    except KeyboardInterrupt:
        say("\nInterrupted. Run the same command again: it goes on where it was.")
        return 130
    except OSError as error:
        say(f"The installation failed: {error}. If .venv belongs to another user, remove it or run as that user.")
        return 1


if __name__ == "__main__":
    sys.exit(main())
