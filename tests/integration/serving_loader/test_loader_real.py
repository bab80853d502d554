import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

from serving.bundle import read_bundle
from serving.engines import open_engine
from serving.engines.model_keeper import owner_pid
from serving.engines.model_process import lock_path
from serving.engines.process import socket_path
from serving.errors import EngineError
from serving.row_codec import RowCodec
from serving.rows import Rows
from streaming.codec import decode, encode
from streaming.events import ControlEvent, PredictionEvent
from streaming.ids import new_event_ids
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings

pytestmark = pytest.mark.slow
MAIL = Rows(np.empty((2, 0)), [("buy cheap pills",), ("minutes of the lunch",)])


def mail_bundle(house: Any) -> Path:
    table = house.table("mail")
    return Path(house.bundles("mail") / table.roles["production"].bundle)


def model_pid(house: Any) -> int | None:
    return owner_pid(lock_path(socket_path(mail_bundle(house), house.folder / "run")))


@pytest.fixture
def until() -> Any:
    def wait(condition: Any, seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    return wait


def test_aliases_become_roles_swap_without_a_build_and_survive_a_lost_registry(house: Any, until: Any) -> None:
    house.registry.set_alias("iris", "production", "1")
    house.registry.set_alias("iris", "shadow", "2")
    loader = house.start()
    until(lambda: house.roles("iris") == {"production": "1", "shadow": "2"})

    bundle = read_bundle(house.bundles("iris") / house.table("iris").roles["production"].bundle)
    assert (bundle.engine, bundle.metrics["training_accuracy"]) == ("onnx", 0.75)
    engine = open_engine(house.bundles("iris") / house.table("iris").roles["shadow"].bundle, house.folder / "run")
    codec = RowCodec(bundle.signature)
    assert engine.predict(codec.rows([codec.from_features(bundle.example)])).predictions == [0]
    engine.close()

    house.registry.set_alias("iris", "production", "2")
    house.registry.set_alias("iris", "shadow", "1")
    until(lambda: house.roles("iris") == {"production": "2", "shadow": "1"}, 10)
    until(lambda: house.said("external_change"))
    controls = [
        decode(record.value)
        for record in open_segment_log(StreamingSettings(data_dir=house.folder)).reader("test").poll(10, 1)
    ]
    assert [(event.kind, event.source, event.evidence) for event in controls if isinstance(event, ControlEvent)] == [
        ("promoted", "external", {"from": "1", "to": "2"})
    ]

    loader.send_signal(signal.SIGTERM)
    assert loader.wait(30) == 0
    house.settings = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "REGISTRY_TIMEOUT_SECONDS": "1"}
    house.start()
    until(lambda: house.said("registry_unavailable"))
    assert house.roles("iris") == {"production": "2", "shadow": "1"}


def test_a_corrupt_model_keeps_the_old_one_until_it_is_mended(house: Any, until: Any) -> None:
    house.registry.set_alias("iris", "production", "1")
    house.start()
    until(lambda: house.roles("iris") == {"production": "1"})
    rows, target = load_iris(return_X_y=True, as_frame=True)
    folder = house.folder / "handmade"
    mlflow.sklearn.save_model(DummyClassifier().fit(rows, target), folder, serialization_format="skops")
    model_file = next(folder.glob("*.skops"))
    model_file.write_bytes(model_file.read_bytes()[:-200])
    house.registry.register("iris", str(folder))

    house.registry.set_alias("iris", "production", "3")
    until(lambda: "artifact" in house.problems("iris"))

    assert house.roles("iris") == {"production": "1"}
    assert "corrupt" in house.problems("iris")["artifact"]
    house.registry.set_alias("iris", "production", "2")
    until(lambda: house.roles("iris") == {"production": "2"})
    assert house.problems("iris") == {}


def test_a_pickle_is_refused_naming_the_setting_and_taken_once_it_is_allowed(house: Any, until: Any) -> None:
    rows, target = load_iris(return_X_y=True, as_frame=True)
    folder = house.folder / "pickled"
    mlflow.sklearn.save_model(
        DummyClassifier(strategy="prior").fit(rows, target), folder, serialization_format="pickle"
    )
    house.registry.register("iris", str(folder))
    house.registry.set_alias("iris", "production", "3")
    loader = house.start()
    until(lambda: "forbidden_model" in house.problems("iris"))

    assert house.roles("iris") == {}
    assert "ALLOW_PICKLE=iris" in house.problems("iris")["forbidden_model"]

    loader.send_signal(signal.SIGTERM)
    loader.wait(30)
    house.settings = {"ALLOW_PICKLE": "iris"}
    house.start()
    until(lambda: house.roles("iris") == {"production": "3"})
    assert house.problems("iris") == {}


def test_a_model_process_is_restarted_and_survives_its_loader(house: Any, until: Any) -> None:
    house.models = "mail"
    house.registry.set_alias("mail", "production", "1")
    loader = house.start()
    until(lambda: house.roles("mail") == {"production": "1"})
    engine = open_engine(mail_bundle(house), house.folder / "run", patience_seconds=60)
    assert engine.predict(MAIL).predictions == ["spam", "ham"]
    assert not engine.inline
    first = model_pid(house)
    assert first is not None

    os.kill(first, signal.SIGKILL)
    assert engine.predict(MAIL).predictions == ["spam", "ham"]
    second = model_pid(house)
    assert second not in (None, first)

    loader.kill()
    loader.wait()
    assert engine.predict(MAIL).predictions == ["spam", "ham"]
    successor = house.start()
    until(lambda: house.folder.joinpath("loader.log").read_bytes().count(b"loader_started") == 2)
    assert engine.predict(MAIL).predictions == ["spam", "ham"]
    assert model_pid(house) == second

    successor.send_signal(signal.SIGTERM)
    assert successor.wait(30) == 0
    until(lambda: model_pid(house) is None)
    engine.close()


def test_killed_in_the_middle_of_calls_it_answers_or_says_so_and_recovers(house: Any, until: Any) -> None:
    house.models = "mail"
    house.registry.set_alias("mail", "production", "1")
    house.start()
    until(lambda: house.roles("mail") == {"production": "1"})
    engine = open_engine(mail_bundle(house), house.folder / "run", timeout_seconds=30)
    outcomes: list[str] = []
    for turn in range(300):
        if turn == 100:
            pid = model_pid(house)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        try:
            assert engine.predict(MAIL).predictions == ["spam", "ham"]
            outcomes.append("ok")
        except EngineError as error:
            outcomes.append(error.error_type)

    assert set(outcomes) <= {"ok", "engine", "engine_unavailable"}
    until(lambda: model_pid(house) is not None)
    patient = open_engine(mail_bundle(house), house.folder / "run", patience_seconds=60)
    assert patient.predict(MAIL).predictions == ["spam", "ham"]
    patient.close()
    engine.close()


def test_model_processes_end_with_the_supervisor(house: Any, until: Any, tmp_path: Path) -> None:
    house.models = "mail"
    house.registry.set_alias("mail", "production", "1")
    supervisor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    house.settings = {"SUPERVISOR_PID": str(supervisor.pid)}
    loader = house.start()
    until(lambda: house.roles("mail") == {"production": "1"})

    supervisor.kill()
    supervisor.wait()

    until(lambda: model_pid(house) is None)
    loader.wait(30)


def test_a_shadow_asks_a_process_of_its_own_at_its_own_priority(house: Any, until: Any) -> None:
    house.models = "mail"
    house.registry.set_alias("mail", "shadow", "1")
    house.start()
    until(lambda: house.roles("mail") == {"shadow": "1"})
    bundle = Path(house.bundles("mail") / house.table("mail").roles["shadow"].bundle)
    log = open_segment_log(StreamingSettings(data_dir=house.folder))
    now = datetime.now(UTC)
    event = PredictionEvent(
        event_time=now,
        recorded_at=now,
        event_id=new_event_ids(1)[0],
        request_id="r",
        model_name="mail",
        model_version="0",
        role="production",
        features={"text": "buy cheap pills"},
    )
    with closing(log.writer()) as writer:
        writer.append([[encode(event)]])
    environment = os.environ | {"DATA_DIR": str(house.folder), "MODELS": "mail", "SUPERVISOR_PID": str(os.getpid())}
    shadow = subprocess.Popen([sys.executable, "-m", "understudy", "run", "shadow"], env=environment)
    with closing(log.reader("test")) as reader:
        answers: list[PredictionEvent] = []

        def answered() -> bool:
            found = [decode(record.value) for record in reader.poll(10, 0.1)]
            answers.extend(one for one in found if isinstance(one, PredictionEvent) and one.role == "shadow")
            return bool(answers)

        until(answered)
    paths = [socket_path(bundle, house.folder / "run"), socket_path(bundle, house.folder / "run" / "shadow-mail")]
    callers, shadows = [owner_pid(lock_path(path)) for path in paths]

    assert (answers[0].prediction, answers[0].outcome, answers[0].origin_event_id) == ("spam", "ok", event.event_id)
    assert callers is not None
    assert shadows not in (None, callers)
    if sys.platform == "linux":
        assert os.sched_getscheduler(shadows or 0) == os.SCHED_IDLE
        assert os.sched_getscheduler(callers) == os.SCHED_OTHER
    shadow.send_signal(signal.SIGTERM)
    assert shadow.wait(30) == 0
    assert owner_pid(lock_path(paths[1])) is None
