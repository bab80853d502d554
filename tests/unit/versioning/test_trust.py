"""What may be loaded, and what a refusal says."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # ships no types

from versioning.errors import ArtifactError, ForbiddenModelError
from versioning.settings import VersioningSettings
from versioning.trust import TrustPolicy, check_trust, load_sklearn, other_versions, trust_policy

WriteMlmodel = Callable[..., Path]
CHURN = TrustPolicy("churn")
PICKLE = TrustPolicy("churn", pickle_allowed=True)


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def edit_mlmodel(folder: Path, **sklearn: Any) -> None:
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["flavors"]["sklearn"].update(sklearn)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_a_forest_in_skops_is_loaded(skops_model: Path, estimator: Any) -> None:
    loaded = load_sklearn(skops_model, CHURN)

    assert loaded.n_estimators == estimator.n_estimators


def test_types_outside_our_list_are_named_with_the_setting(skops_model: Path) -> None:
    policy = TrustPolicy("churn", types=frozenset({"numpy.dtype"}))

    with pytest.raises(ForbiddenModelError, match=r"'churn'.*TRUSTED_TYPES=sklearn\.tree\._tree\.Tree"):
        load_sklearn(skops_model, policy)


def test_the_list_in_the_model_is_not_believed(skops_model: Path) -> None:
    edit_mlmodel(skops_model, skops_trusted_types=["numpy.dtype", "sklearn.tree._tree.Tree"])

    with pytest.raises(ForbiddenModelError):
        load_sklearn(skops_model, TrustPolicy("churn", types=frozenset()))


def test_types_of_the_user_are_added_to_ours(settings: VersioningSettings, skops_model: Path) -> None:
    with_more = settings.model_copy(update={"trusted_types": "mine.Type"})

    assert "mine.Type" in trust_policy(with_more, "churn").types
    assert load_sklearn(skops_model, trust_policy(with_more, "churn")) is not None


def test_a_pickle_is_refused_with_the_setting_and_before_it_is_read(pickle_model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    (pickle_model / "model.pkl").write_bytes(pickle.dumps(Trap(mark)))

    with pytest.raises(ForbiddenModelError, match=r"ALLOW_PICKLE=churn"):
        load_sklearn(pickle_model, CHURN)

    assert not mark.exists()


def test_a_pickle_is_loaded_where_the_user_allows_it(pickle_model: Path, settings: VersioningSettings) -> None:
    allowed = settings.model_copy(update={"allow_pickle": "iris,churn"})

    assert load_sklearn(pickle_model, trust_policy(allowed, "churn")).n_estimators == 3
    with pytest.raises(ForbiddenModelError):
        load_sklearn(pickle_model, trust_policy(allowed, "other"))


def test_a_pickle_that_says_it_is_skops_does_not_run(skops_model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    (skops_model / "model.skops").write_bytes(pickle.dumps(Trap(mark)))

    with pytest.raises(ArtifactError, match="corrupt"):
        load_sklearn(skops_model, PICKLE)

    assert not mark.exists()


def test_a_skops_model_with_code_of_its_own_needs_permission(skops_model: Path) -> None:
    edit_mlmodel(skops_model, code="code")

    with pytest.raises(ForbiddenModelError, match=r"code of its own.*ALLOW_PICKLE=churn"):
        check_trust(skops_model, CHURN)


@pytest.mark.parametrize(
    "flavors",
    [
        {"python_function": {"loader_module": "mine", "data": "x"}},
        {"sklearn": {"serialization_format": "shiny"}},
        {"onnx": {}},
        {},
    ],
)
def test_whatever_is_not_skops_needs_permission(write_mlmodel: WriteMlmodel, flavors: Any) -> None:
    with pytest.raises(ForbiddenModelError, match="ALLOW_PICKLE=churn"):
        check_trust(write_mlmodel(flavors), CHURN)


def test_a_model_of_another_kind_is_no_scikit_learn_model(write_mlmodel: WriteMlmodel) -> None:
    folder = write_mlmodel({"python_function": {"loader_module": "mine"}})

    with pytest.raises(ArtifactError, match="logged as python_function"):
        load_sklearn(folder, PICKLE)


def test_a_file_outside_the_folder_is_not_loaded(pickle_model: Path, tmp_path: Path) -> None:
    (pickle_model / "model.pkl").rename(tmp_path / "model.pkl")
    edit_mlmodel(pickle_model, pickled_model="../model.pkl")

    with pytest.raises(ArtifactError, match="leads out"):
        load_sklearn(pickle_model, PICKLE)


def test_a_missing_file_is_named(skops_model: Path) -> None:
    (skops_model / "model.skops").unlink()

    with pytest.raises(ArtifactError, match=r"model\.skops is missing"):
        load_sklearn(skops_model, CHURN)


@pytest.mark.parametrize("at", [0, 0.3, 0.6, 0.999])
def test_one_flipped_byte_is_refused(skops_model: Path, at: float) -> None:
    path = skops_model / "model.skops"
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises((ArtifactError, ForbiddenModelError)):
        load_sklearn(skops_model, CHURN)


def test_a_file_cut_short_is_corrupt(skops_model: Path) -> None:
    path = skops_model / "model.skops"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ArtifactError, match="corrupt"):
        load_sklearn(skops_model, CHURN)


def test_a_file_that_unpacks_to_too_much_is_refused(skops_model: Path) -> None:
    with zipfile.ZipFile(skops_model / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 2_000_000)

    with pytest.raises(ArtifactError, match="ARTIFACT_MAX_BYTES"):
        load_sklearn(skops_model, TrustPolicy("churn", max_bytes=1_000_000))


def test_a_schema_nested_without_end_is_corrupt(skops_model: Path) -> None:
    with zipfile.ZipFile(skops_model / "model.skops", "w") as archive:
        archive.writestr("schema.json", "[" * 100_000)

    with pytest.raises(ArtifactError, match="corrupt"):
        load_sklearn(skops_model, CHURN)


def test_a_missing_package_is_named_as_the_model_wants_it(pickle_model: Path) -> None:
    (pickle_model / "model.pkl").write_bytes(b"cnot_installed_here\nThing\n.")
    (pickle_model / "requirements.txt").write_text("scikit-learn==1.9.1\nnot_installed_here==3.1\n")

    with pytest.raises(ArtifactError, match=r"'not_installed_here'.*pip install 'not_installed_here==3.1'"):
        load_sklearn(pickle_model, PICKLE)


def test_a_failure_under_another_version_names_both(pickle_model: Path) -> None:
    (pickle_model / "model.pkl").write_bytes(b"csklearn.tree\nGone\n.")

    with pytest.raises(ArtifactError, match=r"scikit-learn 1\.2\.2 \(here \d"):
        load_sklearn(pickle_model, PICKLE)


def test_versions_that_agree_are_not_mentioned(skops_model: Path) -> None:
    assert other_versions(check_trust(skops_model, CHURN)) == []
