"""One setting as the other programs of this folder read it, before anything is installed."""

import os
import re

ENV_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".env")
LINE = r"""^[ \t]*(?:export[ \t]+)?%s[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#]*))"""


def setting(name, default=None):
    """From the environment, else from .env, else the default. Upper and lower case are the same."""
    for key, value in os.environ.items():
        if key.upper() == name and value:
            return value
    try:
        with open(ENV_FILE, encoding="utf-8") as file:
            found = re.findall(LINE % name, file.read(), re.MULTILINE | re.IGNORECASE)
    except FileNotFoundError:
        found = []
    return "".join(found[-1]) or default if found else default
