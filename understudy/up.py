"""`understudy up`: checks, starts, trains where there is nothing yet, waits for the first answer, keeps running."""

import logging
import os
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from serving.auth import Authenticator, require_safe
from serving.key_file import list_keys
from serving.settings import ServingSettings
from understudy.errors import PortTakenError
from understudy.first_models import TrainingChild
from understudy.process import SUPERVISOR_PID
from understudy.readiness import (
    Reply,
    ask,
    base_url,
    curl_line,
    model_names,
    problems,
    production_example,
    reachable_host,
)
from understudy.settings import UnderstudySettings
from understudy.story import Story
from understudy.supervisor.children import Child, open_log
from understudy.supervisor.plan import api_children, mlflow_ui_child, reader_children
from understudy.supervisor.ports import holder_of, is_free, open_listener
from understudy.supervisor.signals import Signals
from understudy.supervisor.state import Phase, SupervisorLock, SupervisorState, child_state, write_state
from understudy.supervisor.supervisor import Death, Supervisor
from versioning.settings import VersioningSettings

SECOND_MLFLOW_PORT = 5050
PROBLEMS_EVERY_SECONDS = 5.0
API_FIRST_SECONDS = 3.0


class Up:
    """One run of the local supervisor, from the lock to the last stopped child. Lives in the main thread."""

    def __init__(
        self, story: Story, serving: ServingSettings, versioning: VersioningSettings, settings: UnderstudySettings
    ) -> None:
        self._story = story
        self._serving = serving
        self._versioning = versioning
        self._settings = settings
        self._run_dir = settings.data_dir.absolute() / "run"
        self._logs_dir = settings.data_dir.absolute() / "logs"
        self._models = model_names(serving)
        self._phase: Phase = "starting"
        self._started_at = datetime.now(UTC)
        self._ports: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        self._told: set[str] = set()

    def run(self) -> int:
        """Runs until told to stop; returns the exit code.

        Raises:
            AlreadyRunningError: Another supervisor runs on this DATA_DIR.
            SetupError: API_HOST is reachable from elsewhere and there is no key.
            PortTakenError: A port is taken; nothing was started.
        """
        lock = SupervisorLock(self._run_dir)
        try:
            return self._run_locked()
        finally:
            (self._run_dir / "supervisor.json").unlink(missing_ok=True)
            lock.release()

    def _run_locked(self) -> int:
        begun = time.monotonic()
        require_safe(self._serving.api_host, Authenticator(self._serving.keys_file))
        listener = open_listener(self._serving.api_host, self._serving.api_port, "API_PORT")
        self._ports["API_PORT"] = listener.getsockname()[1]
        self._urls["API"] = base_url(self._serving.api_host, self._ports["API_PORT"])
        self._choose_ui_port()
        self._signals = Signals()
        self._supervisor = Supervisor(
            self._signals,
            grace_seconds=self._settings.stop_grace_seconds,
            logs_dir=self._logs_dir,
            on_change=self._write_state,
        )
        environment = self._environment()
        try:
            self._story.say(f"Starting Understudy in {self._settings.data_dir.absolute()}")
            self._supervisor.start(api_children(self._serving.workers, listener.fileno(), environment))
            trained = self._train_first_models(environment)
            if trained:
                self._let_api_go_first()
                self._supervisor.start(reader_children(self._serving.shadow_aliases, environment))
                self._await_ready(begun)
                self._start_ui(environment)
                self._keep_running()
        finally:
            self._stop()
            listener.close()
        return 0 if trained or self._signals.stopping else 1

    def _environment(self) -> dict[str, str]:
        """What all children get; wipes what a former run left of the metrics."""
        metrics_dir = self._run_dir / "metrics"
        shutil.rmtree(metrics_dir, ignore_errors=True)
        metrics_dir.mkdir(parents=True)
        return {
            SUPERVISOR_PID: str(os.getpid()),
            "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir),
            "DATA_DIR": str(self._settings.data_dir.absolute()),
        }

    def _choose_ui_port(self) -> None:
        """Names the port of the MLflow UI; where the registry is another server, that has its own."""
        if not (self._settings.mlflow_ui and self._versioning.own_registry):
            return
        port = self._settings.mlflow_port
        chosen_by_hand = "mlflow_port" in self._settings.model_fields_set
        if not is_free("127.0.0.1", port):
            if chosen_by_hand or not is_free("127.0.0.1", SECOND_MLFLOW_PORT):
                holder = holder_of(port) or "another process"
                raise PortTakenError(
                    f"Port {port} is taken by {holder}: stop it, set MLFLOW_PORT to a free port, or MLFLOW_UI=false."
                )
            port = SECOND_MLFLOW_PORT
        self._ports["MLFLOW_PORT"] = port
        self._urls["MLflow"] = f"http://127.0.0.1:{port}"

    def _train_first_models(self, environment: dict[str, str]) -> bool:
        """Trains into our own registry where nothing was ever published; False when that failed."""
        if self._is_published() or not self._versioning.own_registry:
            return True
        self._enter("training")
        log = open_log(self._logs_dir, "first_models")
        with log, TrainingChild(environment, log) as training, self._story.bar("Preparing the first models") as bar:
            while training.exit_code() is None and not self._signals.stopping:
                self._supervisor.wait(0.2)
                self._tell_deaths(self._supervisor.step())
                for progress in training.news():
                    bar.to(progress.fraction, progress.text)
        if training.exit_code() == 0:
            self._enter("starting")
            return True
        if not self._signals.stopping:
            self._story.warn(
                f"The first models could not be trained: {self._last_words('first_models')}\n"
                f"  The whole story: {self._logs_dir / 'first_models.log'}"
            )
        return False

    def _let_api_go_first(self) -> None:
        """Where bundles are published the API needs nobody, and the loader's imports would take its CPU."""
        until = time.monotonic() + API_FIRST_SECONDS
        while self._is_published() and not self._signals.stopping and time.monotonic() < until:
            if self._ask_ready().status == 200:
                return
            self._supervisor.wait(0.1)
            self._tell_deaths(self._supervisor.step())

    def _is_published(self) -> bool:
        return (self._serving.bundles_dir / self._models[0] / "roles.json").exists()

    def _await_ready(self, begun: float) -> None:
        deadline = time.monotonic() + self._settings.ready_timeout_seconds
        while not self._signals.stopping:
            reply = self._ask_ready()
            if reply.status == 200:
                self._tell_ready(time.monotonic() - begun)
                return
            if time.monotonic() > deadline:
                reason = "; ".join(reply.document().get("problems", [])) or reply.text
                self._story.warn(f"Still not ready, and going on trying: {reason}")
                deadline = float("inf")
                self._enter("unready")
            self._supervisor.wait(0.1)
            self._tell_deaths(self._supervisor.step())
            self._tell_problems()

    def _ask_ready(self) -> Reply:
        return ask(reachable_host(self._serving.api_host), self._ports["API_PORT"], "/ready")

    def _tell_ready(self, seconds: float) -> None:
        url = self._urls["API"]
        self._enter("running")
        self._story.say(f"Ready after {seconds:.1f} s.\n")
        self._story.say(f"  API        {url}          (docs: {url}/docs)")
        if "MLflow" in self._urls:
            self._story.say(f"  MLflow UI  {self._urls['MLflow']}          (in a moment)")
        example = production_example(self._serving.bundles_dir.absolute() / self._models[0])
        if example:
            needs_key = bool(list_keys(self._serving.keys_file))
            self._story.say(f"\nTry it:\n  {curl_line(url, example, needs_key=needs_key)}\n")
        self._story.say("Stop with Ctrl-C or `understudy down`. See also: `understudy status`, `understudy logs`.")

    def _start_ui(self, environment: dict[str, str]) -> None:
        if "MLFLOW_PORT" in self._ports and not self._signals.stopping:
            self._supervisor.start([mlflow_ui_child(self._ports["MLFLOW_PORT"], environment)])

    def _keep_running(self) -> None:
        look_at = 0.0
        while not self._signals.stopping:
            self._tell_deaths(self._supervisor.step())
            if time.monotonic() >= look_at:
                self._tell_problems()
                look_at = time.monotonic() + PROBLEMS_EVERY_SECONDS
            self._supervisor.wait(PROBLEMS_EVERY_SECONDS)

    def _stop(self) -> None:
        self._enter("stopping")
        if self._supervisor.children:
            self._story.say("Stopping; what is in flight is answered first.")
        for name in self._supervisor.stop():
            self._story.warn(f"{name} did not stop in time and was killed; nothing acknowledged is lost.")
        self._story.say("Stopped.")

    def _tell_deaths(self, deaths: Sequence[Death]) -> None:
        for death in deaths:
            for gauge in (self._run_dir / "metrics").glob(f"gauge_live*_{death.pid}.db"):
                gauge.unlink(missing_ok=True)  # what lives no longer has no present value
            again = f"in {death.pause_seconds:.1f} s" if death.pause_seconds else "at once"
            self._story.warn(
                f"{death.name} ended with {_how(death.exit_code)}; started again {again}. "
                f"Its last words: {self._last_words(death.name)}"
            )

    def _tell_problems(self) -> None:
        for model in self._models:
            for problem in problems(self._serving.bundles_dir.absolute() / model):
                if problem not in self._told:
                    self._told.add(problem)
                    self._story.warn(problem)

    def _last_words(self, name: str) -> str:
        path = self._logs_dir / f"{name}.log"
        lines = path.read_bytes()[-4096:].decode("utf-8", "replace").split("\n") if path.exists() else []
        spoken = [line for line in lines if line.strip()]
        return spoken[-1].strip() if spoken else "none"

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._write_state(self._supervisor.children)

    def _write_state(self, children: Sequence[Child]) -> None:
        state = SupervisorState(
            pid=os.getpid(),
            started_at=self._started_at,
            phase=self._phase,
            ports=self._ports,
            urls=self._urls,
            children=tuple(child_state(child) for child in children),
        )
        write_state(self._run_dir, state)


def _how(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def bring_up(story: Story) -> int:
    """Reads the settings and runs until told to stop."""
    logging.getLogger("understudy").addHandler(logging.NullHandler())
    return Up(story, ServingSettings(), VersioningSettings(), UnderstudySettings()).run()
