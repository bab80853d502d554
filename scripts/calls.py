"""Calls /predict with random valid rows, or with rows of your own. Standard library only.

Rows are made from the model's own schema (GET /models): numbers around the example, strings out of the categories
the model knows. With --data, one JSON body a line (or one JSON document) is sent as it stands.
"""

import argparse
import http.client
import json
import random
import statistics
import sys
import time
import urllib.parse

from settings import setting


def arguments():
    """The command line."""
    url = f"http://{setting('API_HOST', '127.0.0.1')}:{setting('API_PORT', '8000')}"
    parser = argparse.ArgumentParser(prog="scripts/calls.sh", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=10, metavar="N", help="how many calls (default 10)")
    parser.add_argument("--data", metavar="FILE|-", help="bodies to send: one JSON a line, or one JSON document")
    parser.add_argument("--model", metavar="NAME", help="model to call (default: the server's first)")
    parser.add_argument("--url", default=url, help=f"server (default {url}, from API_HOST and API_PORT)")
    parser.add_argument("--api-key", default=setting("API_KEY"), metavar="KEY", help="API key (default: API_KEY)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the same random rows")
    options = parser.parse_args()
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    return options


class Client:
    """One kept-open connection."""

    def __init__(self, url, api_key):
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            parts = port = None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            sys.exit(f"--url {url!r} is no address such as http://127.0.0.1:8000")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(parts.hostname, port, timeout=30)
        self.prefix = parts.path.rstrip("/")
        self.headers = {"content-type": "application/json"}
        if api_key:
            self.headers["authorization"] = f"Bearer {api_key}"

    def call(self, method, path, body=None):
        """Status and text of one call; status 0 when the server cannot be reached."""
        try:
            self.connection.request(method, self.prefix + path, body, self.headers)
            response = self.connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return 0, f"{type(error).__name__}: {error}"


def columns_of(client, model):
    """Input columns and example of the production version."""
    status, text = client.call("GET", "/models")
    if status != 200:
        hint = " (is it started? scripts/up)" if status == 0 else ""
        sys.exit(f"GET /models answered {status or 'nothing'}: {text}{hint}")
    models = {one["model_name"]: one for one in json.loads(text)["models"]}
    name = model or next(iter(models))
    if name not in models:
        sys.exit(f"no model named {name!r}; served: {', '.join(models)}")
    production = models[name]["roles"].get("production")
    if production is None:
        sys.exit(f"model {name!r} has no production version yet: see GET /models")
    return production["columns"], production["example"]


def random_row(columns, example, dice):
    """One valid row near the example."""
    return {column["name"]: random_value(column, example.get(column["name"]), dice) for column in columns}


def random_value(column, near, dice):
    """One value of a column's type."""
    if column["type"] == "string":
        return dice.choice(column.get("values") or [near or "a"])
    if column["type"] == "boolean":
        return dice.random() < 0.5
    value = (near or 1) * dice.uniform(0.5, 1.5)
    return round(value) if column["type"] == "integer" else round(value, 4)


def bodies(options, client):
    """The bodies to send, endlessly."""
    if options.data is None:
        dice = random.Random(options.seed)
        columns, example = columns_of(client, options.model)
        while True:
            yield json.dumps(random_row(columns, example, dice))
    text = sys.stdin.read() if options.data == "-" else read(options.data)
    try:
        json.loads(text)
        own = [text]
    except ValueError:
        own = [line for line in text.splitlines() if line.strip()]
    if not own:
        sys.exit(f"--data {options.data}: nothing in it")
    while True:
        yield from own


def read(path):
    """A file's text."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        sys.exit(f"--data {path}: {error.strerror}")


def main():
    """Calls, prints, sums up; exit code 1 when a call failed."""
    options = arguments()
    client = Client(options.url, options.api_key)
    path = f"/predict/{urllib.parse.quote(options.model, safe='')}" if options.model else "/predict"
    took = []
    failures = 0
    for body, _ in zip(bodies(options, client), range(options.repetitions)):
        started = time.perf_counter()
        status, text = client.call("POST", path, body.encode())
        milliseconds = (time.perf_counter() - started) * 1000
        failures += status != 200
        took.append(milliseconds)
        print(f"{status} {milliseconds:8.2f} ms  {text}", flush=True)
    took.sort()
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    print(
        f"calls {len(took)}  failures {failures}  min {took[0]:.2f} ms  "
        f"median {statistics.median(took):.2f} ms  p95 {p95:.2f} ms"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
