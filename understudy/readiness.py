"""Asks the running API, and makes the command that a person can try it with."""

import http.client
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from serving.loader.specs import parse_specs
from serving.settings import ServingSettings
from understudy.errors import FrontDoorError


class Reply(NamedTuple):
    """What the API said; status 0 when nobody answered, with the reason as text."""

    status: int
    text: str

    def document(self) -> dict[str, Any]:
        """The JSON object answered; empty when it is none."""
        try:
            document = json.loads(self.text)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


def ask(host: str, port: int, path: str, timeout_seconds: float = 1.0) -> Reply:
    """GETs a path; never raises for a server that is away."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Reply(response.status, response.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def reachable_host(api_host: str) -> str:
    """The address under which this machine reaches an API that listens on `api_host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(api_host, api_host)  # noqa: S104 - read, not bound


def base_url(api_host: str, port: int) -> str:
    """URL of the API for a caller on this machine."""
    host = reachable_host(api_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def curl_line(url: str, example: Mapping[str, Any], *, needs_key: bool) -> str:
    """A command that works as it is printed (with a key: once it stands in the place named)."""
    body = shlex.quote(json.dumps(example, ensure_ascii=False))
    key = " -H 'authorization: Bearer YOUR_KEY'" if needs_key else ""
    return f"curl -s {url}/predict -H 'content-type: application/json'{key} -d {body}"


def model_names(settings: ServingSettings) -> list[str]:
    """The names in MODELS; the first is what /predict answers with.

    Raises:
        FrontDoorError: MODELS is empty or cannot be read.
    """
    try:
        names = [spec.name for spec in parse_specs(settings.models, settings.production_alias)]
    except ValueError as error:
        raise FrontDoorError(f"{error}.") from error
    if not names:
        raise FrontDoorError("MODELS names no model: set it to the names to serve, e.g. MODELS=flights.")
    return names


def production_example(model_folder: Path) -> Mapping[str, Any] | None:
    """One valid row of the production model, from its bundle; None before there is one."""
    try:
        table = msgspec.json.decode((model_folder / "roles.json").read_bytes())
        folder = Path(table["roles"]["production"]["bundle"])
        bundle = msgspec.json.decode((model_folder / folder / "bundle.json").read_bytes())
    except (FileNotFoundError, KeyError, TypeError, msgspec.DecodeError):
        return None
    example = bundle.get("example")
    return example if isinstance(example, dict) else None


def problems(model_folder: Path) -> list[str]:
    """Why roles of a model are not what the registry says, in words."""
    try:
        table = msgspec.json.decode((model_folder / "roles.json").read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return []
    return [
        f"{model_folder.name} {problem.get('role')} {problem.get('model_version') or ''}: {problem.get('message')}"
        for problem in table.get("problems", [])
    ]
