"""What to tell a user whose model needs a package that is not here."""

from versioning.mlmodel import MlModel
from versioning.trust import load_failure


def needing(*requirements: str) -> MlModel:
    return MlModel({}, "pyfunc", None, None, {}, requirements, None, None)


def lacking(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_the_line_of_the_package_is_named_and_not_that_of_a_longer_name() -> None:
    said = load_failure(needing("lost-package-extras==9", "lost-package==1.2.3"), lacking("lost_package.inner"))

    assert "'lost_package', which is not installed" in said
    assert said.endswith("pip install 'lost-package==1.2.3'")


def test_a_module_with_another_name_than_its_package_points_to_what_is_not_installed() -> None:
    said = load_failure(needing("numpy", "opencv-that-is-not-here==4.1", ""), lacking("cv2_not_here"))

    assert said.endswith("pip install 'opencv-that-is-not-here==4.1'")


def test_the_missing_module_is_found_below_errors_that_wrap_it() -> None:
    wrapping = RuntimeError("Failed to run user code")
    wrapping.__cause__ = lacking("lost")

    assert "'lost', which is not installed" in load_failure(needing("lost==2"), wrapping)
