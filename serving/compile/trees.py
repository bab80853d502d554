"""Tree ensembles of scikit-learn as one ONNX node in double precision, equal to the original bit for bit.

skl2onnx writes `TreeEnsembleClassifier/Regressor`, whose sums and leaves are float32: at a tie of votes the label
differs, large targets lose digits, and histogram gradient boosting does not convert at all. `TreeEnsemble`
(ai.onnx.ml 5) takes doubles throughout and is as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn import ensemble, tree

from serving.compile.errors import NotConvertibleError
from serving.compile.writer import GraphWriter, classifier_shapes, register_classifier, register_regressor

ML_DOMAIN: Final = "ai.onnx.ml"
TREE_OPSET: Final = 5
_BRANCH_LEQ: Final = 0
_SUM: Final = 1

_FOREST_CLASSIFIERS: Final = (
    ensemble.RandomForestClassifier,
    ensemble.ExtraTreesClassifier,
    tree.DecisionTreeClassifier,
    tree.ExtraTreeClassifier,
)
_FOREST_REGRESSORS: Final = (
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesRegressor,
    tree.DecisionTreeRegressor,
    tree.ExtraTreeRegressor,
)
EXACT_CLASSIFIERS: Final = (*_FOREST_CLASSIFIERS, ensemble.HistGradientBoostingClassifier)
"""Their label is the most probable class, ties to the first, and the graph's probabilities are exact."""


def register_tree_converters() -> None:
    """Puts these converters in place of skl2onnx's own, for this process."""
    for kind in EXACT_CLASSIFIERS:
        convert = _convert_boosting_classifier if kind is EXACT_CLASSIFIERS[-1] else _convert_forest_classifier
        register_classifier(kind, classifier_shapes, convert)
    for kind in _FOREST_REGRESSORS:
        register_regressor(kind, _convert_forest_regressor)
    register_regressor(ensemble.HistGradientBoostingRegressor, _convert_boosting_regressor)


@dataclass
class TreeNodes:
    """The attributes of one `TreeEnsemble` node, filled tree by tree; inner nodes and leaves are numbered apart."""

    roots: list[int] = field(default_factory=list)
    features: list[NDArray[np.int64]] = field(default_factory=list)
    splits: list[NDArray[np.float64]] = field(default_factory=list)
    null_left: list[NDArray[np.int64]] = field(default_factory=list)
    left: list[NDArray[np.int64]] = field(default_factory=list)
    right: list[NDArray[np.int64]] = field(default_factory=list)
    left_is_leaf: list[NDArray[np.int64]] = field(default_factory=list)
    right_is_leaf: list[NDArray[np.int64]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)
    targets: list[NDArray[np.int64]] = field(default_factory=list)
    inner_count: int = 0
    leaf_count: int = 0

    def add(self, one: "OneTree", target: int) -> None:
        """Appends a tree whose leaves add to output `target`."""
        is_leaf = one.left < 0
        number = np.where(is_leaf, np.cumsum(is_leaf) - 1 + self.leaf_count, np.cumsum(~is_leaf) - 1 + self.inner_count)
        if is_leaf[0]:
            self._add_stump(float(one.values[0]), target)
            return
        inner = ~is_leaf
        left, right = one.left[inner], one.right[inner]
        self.roots.append(self.inner_count)
        self.features.append(one.features[inner])
        self.splits.append(one.splits[inner])
        self.null_left.append(one.null_left[inner])
        self.left.append(number[left])
        self.right.append(number[right])
        self.left_is_leaf.append(is_leaf[left].astype(np.int64))
        self.right_is_leaf.append(is_leaf[right].astype(np.int64))
        self._add_leaves(one.values[is_leaf], target)
        self.inner_count += int(inner.sum())

    def _add_stump(self, value: float, target: int) -> None:
        """A tree of one leaf, as a question whose both answers lead to that leaf's value."""
        none = np.zeros(1, np.int64)
        self.roots.append(self.inner_count)
        for part in (self.features, self.null_left):
            part.append(none)
        self.splits.append(np.zeros(1))
        self.left.append(none + self.leaf_count)
        self.right.append(none + self.leaf_count + 1)
        self.left_is_leaf.append(none + 1)
        self.right_is_leaf.append(none + 1)
        self._add_leaves(np.array([value, value]), target)
        self.inner_count += 1

    def _add_leaves(self, values: NDArray[np.float64], target: int) -> None:
        self.weights.append(values)
        self.targets.append(np.full(len(values), target, np.int64))
        self.leaf_count += len(values)

    def attributes(self, n_targets: int) -> dict[str, Any]:
        """As ai.onnx.ml 5 names them."""
        doubles = {"nodes_splits": np.concatenate(self.splits), "leaf_weights": np.concatenate(self.weights)}
        modes = np.full(self.inner_count, _BRANCH_LEQ, np.uint8)
        return {
            "n_targets": n_targets,
            "aggregate_function": _SUM,
            "post_transform": 0,
            "tree_roots": self.roots,
            "nodes_featureids": np.concatenate(self.features).tolist(),
            "nodes_modes": helper.make_tensor("modes", TensorProto.UINT8, modes.shape, modes),
            "nodes_missing_value_tracks_true": np.concatenate(self.null_left).tolist(),
            "nodes_truenodeids": np.concatenate(self.left).tolist(),
            "nodes_trueleafs": np.concatenate(self.left_is_leaf).tolist(),
            "nodes_falsenodeids": np.concatenate(self.right).tolist(),
            "nodes_falseleafs": np.concatenate(self.right_is_leaf).tolist(),
            "leaf_targetids": np.concatenate(self.targets).tolist(),
        } | {name: helper.make_tensor(name, TensorProto.DOUBLE, each.shape, each) for name, each in doubles.items()}


@dataclass(frozen=True)
class OneTree:
    """One tree, node by node: children (-1 at leaves), question `feature <= split`, where null goes, leaf values."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    features: NDArray[np.int64]
    splits: NDArray[np.float64]
    null_left: NDArray[np.int64]
    values: NDArray[np.float64]


def double_thresholds(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The w for which `x <= w` asks of a double x what scikit-learn's trees ask: `float32(x) <= threshold`.

    That is the greatest double that rounds, to nearest and ties to even, to a float32 not above the threshold.
    """
    below = thresholds.astype(np.float32)
    above_threshold = below.astype(np.float64) > thresholds
    below = np.where(above_threshold, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above.astype(np.float64)) / 2
    tie_goes_down = below.view(np.uint32) % 2 == 0
    result: NDArray[np.float64] = np.where(tie_goes_down, middle, np.nextafter(middle, -np.inf))
    return result


def _forest_tree(fitted: Any, values: NDArray[np.float64]) -> OneTree:
    left = fitted.children_left.astype(np.int64)
    null_left = getattr(fitted, "missing_go_to_left", np.zeros(len(left), np.uint8))
    return OneTree(
        left=left,
        right=fitted.children_right.astype(np.int64),
        features=fitted.feature.astype(np.int64),
        splits=double_thresholds(fitted.threshold.astype(np.float64)),
        null_left=null_left.astype(np.int64),
        values=values.astype(np.float64),
    )


def _boosting_tree(predictor: Any) -> OneTree:
    nodes = predictor.nodes
    if nodes["is_categorical"].any():
        raise NotConvertibleError(
            "histogram gradient boosting splits on native categories: one-hot encode them to have it compiled"
        )
    is_leaf = nodes["is_leaf"].astype(bool)
    return OneTree(
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        features=nodes["feature_idx"].astype(np.int64),
        splits=nodes["num_threshold"].astype(np.float64),
        null_left=nodes["missing_go_to_left"].astype(np.int64),
        values=nodes["value"].astype(np.float64),
    )


def _members(model: Any) -> list[Any]:
    members = [each.tree_ for each in getattr(model, "estimators_", (model,))]
    if getattr(model, "n_outputs_", 1) != 1:
        raise NotConvertibleError("the model has several outputs: only single-output models are served")
    return members


def _one_value(members: Sequence[Any], column: int) -> TreeNodes:
    """Trees that all add one column of their leaves' values to output 0."""
    nodes = TreeNodes()
    for member in members:
        nodes.add(_forest_tree(member, member.value[:, 0, column]), 0)
    return nodes


def _leaf_numbers(members: Sequence[Any]) -> tuple[TreeNodes, NDArray[np.float64]]:
    """Trees that each answer the number of the leaf reached, and the leaves' values, shape (leaves, classes).

    A leaf of `TreeEnsemble` has one value, so several classes would need a copy of every tree for each.
    """
    nodes = TreeNodes()
    values, count = [], 0
    for target, member in enumerate(members):
        nodes.add(_forest_tree(member, np.arange(count, count + member.node_count, dtype=np.float64)), target)
        values.append(member.value[:, 0, :])
        count += member.node_count
    return nodes, np.concatenate(values)


def _trees(write: GraphWriter, nodes: TreeNodes, n_targets: int) -> str:
    return write.node_of_a_later_opset("TreeEnsemble", ML_DOMAIN, nodes.attributes(n_targets))


def _convert_forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    members = _members(write.model)
    binary = len(write.model.classes_) == 2
    if binary:
        votes = _trees(write, _one_value(members, 1), 1)
    else:
        nodes, values = _leaf_numbers(members)
        leaves = write.node("Cast", [_trees(write, nodes, len(members))], to=TensorProto.INT64)
        shares = write.node("Gather", [write.constant(values), leaves], axis=0)
        votes = write.node("ReduceSum", [shares, write.constant(np.array([1]))], keepdims=0)
    mean = write.node("Div", [votes, write.constant(np.array([float(len(members))]))])
    write.classes_out(mean, binary=binary)


def _convert_forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    members = _members(write.model)
    total = _trees(write, _one_value(members, 0), 1)
    write.node("Div", [total, write.constant(np.array([float(len(members))]))], write.outputs[0])


def _boosted(write: GraphWriter) -> str:
    """Raw predictions, shape (rows, trees per iteration)."""
    nodes = TreeNodes()
    for iteration in write.model._predictors:  # noqa: SLF001 - its trees have no public name
        for target, predictor in enumerate(iteration):
            nodes.add(_boosting_tree(predictor), target)
    baseline = np.asarray(write.model._baseline_prediction, dtype=np.float64).ravel()  # noqa: SLF001
    return write.node("Add", [_trees(write, nodes, len(baseline)), write.constant(baseline)])


def _convert_boosting_classifier(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    raw = _boosted(write)
    binary = len(write.model.classes_) == 2
    chance = write.node("Sigmoid", [raw]) if binary else write.node("Softmax", [raw], axis=1)
    write.classes_out(chance, binary=binary)


def _convert_boosting_regressor(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    loss = type(write.model._loss.link).__name__  # noqa: SLF001
    raw = _boosted(write)
    link = {"IdentityLink": "Identity", "LogLink": "Exp"}.get(loss)
    if link is None:
        raise NotConvertibleError(f"histogram gradient boosting with the link {loss} has no ONNX form here")
    write.node(link, [raw], write.outputs[0])
