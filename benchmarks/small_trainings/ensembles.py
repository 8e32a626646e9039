"""Scores of scikit-learn's models: over boosting rounds, trees or epochs, and over the size of the training set."""

# What scikit-learn's functions return depends on what they are given, which their types do not say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportOptionalOperand=false, reportAssignmentType=false

from collections.abc import Callable

import numpy as np
from sklearn import ensemble, linear_model, naive_bayes, neighbors, tree

from benchmarks.small_trainings.plans import Plan
from benchmarks.small_trainings.studies import Study
from benchmarks.small_trainings.tasks import CLASSES, NUMBERS, Task, classes, numbers

STAGED = ("boosting", "regression", "epochs", "forest", "adaboost")


def staged(rng: np.random.Generator, index: int, runs: int) -> dict[str, Study]:
    """A study of models that grow in rounds: validation loss, and accuracy where there are classes."""
    plan, kind, runs = Plan(rng, runs), STAGED[index % len(STAGED)], min(runs, 24)
    task = numbers(NUMBERS[index % len(NUMBERS)], rng, 300) if kind == "regression" else classes(CLASSES[index % len(CLASSES)], rng, 300)
    if kind != "regression":
        task = _binary(task) if len(np.unique(task.y)) > 4 and kind in ("boosting", "forest") else task
    rounds = int(np.exp(rng.uniform(np.log(15), np.log(100))))
    shared = {
        "rate": plan.rate(0.01, 1.2),
        "depth": plan.pick([1, 2, 3, 5], [0.3, 0.3, 0.3, 0.1]),
        "part": plan.pick([0.3, 0.6, 1.0]),
        "few": plan.pick([0.3, 1.0], [0.3, 0.7]),
        "seed": rng.integers(2**31, size=plan.runs),
    }
    scores = []
    for run in range(runs):
        chosen = {name: values[run].item() for name, values in shared.items()}
        rows = np.random.default_rng(chosen["seed"]).permutation(len(task.y))[: max(30, int(chosen.pop("few") * len(task.y)))]
        mine = task._replace(x=task.x[rows], y=task.y[rows])
        scores.append(
            {"regression": _regression, "boosting": _boosting, "epochs": _epochs, "forest": _forest, "adaboost": _adaboost}[kind](
                mine, rounds, **chosen
            )
        )
    name, told = f"{index}-{kind}-{task.name}-{plan.kind}", np.arange(1.0, rounds + 1)
    loss = Study(name, told, np.array([score[0] for score in scores]))
    if kind == "regression":
        return {"small_rounds_valid_loss": loss}
    return {"small_rounds_valid_loss": loss, "small_rounds_valid_accuracy": Study(name, told, np.array([score[1] for score in scores]))}


def sizes(rng: np.random.Generator, index: int, runs: int) -> Study:
    """A study of learners on one data set: validation accuracy over the size of the training set, mean over a few shuffles."""
    task, runs = classes(CLASSES[index % len(CLASSES)], rng, 900), min(runs, 24)
    least = max(2 * (int(task.y.max()) + 1), 8)
    points = int(rng.integers(10, 19))
    spread = np.geomspace if rng.random() < 0.7 else np.linspace
    at = np.unique(spread(least, len(task.y), points).round().astype(int))
    at = at if len(at) >= 8 else np.unique(np.linspace(least, len(task.y), 12).round().astype(int))
    shuffles, values = int(rng.integers(1, 3)), []
    for _ in range(runs):
        build, seed = _learner(rng), int(rng.integers(2**31))
        values.append([np.mean([_fitted(build, task, size, seed + k) for k in range(shuffles)]) for size in at])
    return Study(f"{index}-{task.name}", at.astype(float), np.array(values))


def _binary(task: Task) -> Task:
    return task._replace(y=task.y % 2, valid_y=task.valid_y % 2)


def _scored(task: Task, chances: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Cross-entropy and accuracy of class probabilities (V, C) of the classes that training knew."""
    full = np.full((len(chances), int(max(task.y.max(), task.valid_y.max())) + 1), 1e-6)
    full[:, known] = np.maximum(chances, 1e-6)
    full = full / full.sum(1, keepdims=True)
    return float(-np.log(full[np.arange(len(full)), task.valid_y]).mean()), float((full.argmax(1) == task.valid_y).mean())


def _regression(task: Task, rounds: int, *, rate: float, depth: int, part: float, seed: int) -> tuple[np.ndarray, None]:
    model = ensemble.GradientBoostingRegressor(n_estimators=rounds, learning_rate=rate, max_depth=depth, subsample=part, random_state=seed)
    model.fit(task.x, task.y)
    return np.array([((y - task.valid_y) ** 2).mean() for y in model.staged_predict(task.valid_x)]), None


def _boosting(task: Task, rounds: int, *, rate: float, depth: int, part: float, seed: int) -> np.ndarray:
    model = ensemble.GradientBoostingClassifier(n_estimators=rounds, learning_rate=rate, max_depth=depth, subsample=part, random_state=seed)
    model.fit(task.x, task.y)
    return np.array([_scored(task, chances, model.classes_) for chances in model.staged_predict_proba(task.valid_x)]).T


def _adaboost(task: Task, rounds: int, *, rate: float, depth: int, part: float, seed: int) -> np.ndarray:
    stump = tree.DecisionTreeClassifier(max_depth=depth, max_features=part, random_state=seed)
    model = ensemble.AdaBoostClassifier(stump, n_estimators=rounds, learning_rate=rate, random_state=seed).fit(task.x, task.y)
    scores = np.array([_scored(task, chances, model.classes_) for chances in model.staged_predict_proba(task.valid_x)]).T
    return np.pad(scores, ((0, 0), (0, rounds - scores.shape[1])), constant_values=np.nan)  # it ends early once it is perfect


def _forest(task: Task, rounds: int, *, rate: float, depth: int, part: float, seed: int) -> np.ndarray:
    """Scores of the first 1, 2, … trees; the depth grows with the rate."""
    model = ensemble.ExtraTreesClassifier if rate > 0.5 else ensemble.RandomForestClassifier
    forest = model(rounds, max_depth=2 * depth, max_features=part, random_state=seed).fit(task.x, task.y)
    sums = np.cumsum([member.predict_proba(task.valid_x) for member in forest.estimators_], axis=0)
    return np.array([_scored(task, chances / (k + 1), forest.classes_) for k, chances in enumerate(sums)]).T


def _epochs(task: Task, rounds: int, *, rate: float, depth: int, part: float, seed: int) -> np.ndarray:
    """Linear models by stochastic gradient descent, a constant or a falling rate."""
    kind, penalty = ("invscaling" if part < 0.5 else "constant"), 10.0 ** -(depth + 1)
    model = linear_model.SGDClassifier(loss="log_loss", alpha=penalty, learning_rate=kind, eta0=rate / 5, random_state=seed)
    labels, scores, draw = np.unique(task.y), [], np.random.default_rng(seed)
    for _ in range(rounds):
        order = draw.permutation(len(task.y))
        model.partial_fit(task.x[order], task.y[order], labels)
        scores.append(_scored(task, model.predict_proba(task.valid_x), labels))
    return np.array(scores).T


def _learner(rng: np.random.Generator) -> Callable:
    """A learner with random hyperparameters; called with a seed it gives an unfitted model."""
    depth, neighbours, penalty = int(rng.integers(1, 15)), int(rng.choice([1, 3, 7, 15])), float(10 ** rng.uniform(-3, 2))
    trees, leaf = int(rng.choice([2, 5])), int(rng.choice([1, 3, 10]))
    choices: list[Callable] = [
        lambda seed: tree.DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=seed),
        lambda seed: tree.ExtraTreeClassifier(max_depth=depth, random_state=seed),
        lambda _: neighbors.KNeighborsClassifier(neighbours),
        lambda _: naive_bayes.GaussianNB(var_smoothing=penalty * 1e-4),
        lambda _: naive_bayes.BernoulliNB(alpha=penalty),
        lambda _: linear_model.RidgeClassifier(penalty),
        lambda seed: linear_model.SGDClassifier(alpha=penalty * 1e-2, max_iter=6, tol=None, random_state=seed),
        lambda seed: linear_model.Perceptron(max_iter=4, tol=None, random_state=seed),
        lambda seed: ensemble.RandomForestClassifier(trees, max_depth=depth, random_state=seed),
    ]
    return choices[int(rng.integers(len(choices)))]


def _fitted(build: Callable, task: Task, size: int, seed: int) -> float:
    """Validation accuracy after training on the first ``size`` examples of a shuffle, NaN if they are too few for the model."""
    rows = np.random.default_rng(seed).permutation(len(task.y))[:size]
    if len(np.unique(task.y[rows])) < 2:
        return np.nan
    model = build(seed)
    if isinstance(model, neighbors.KNeighborsClassifier) and model.n_neighbors > size:
        return np.nan
    return float((model.fit(task.x[rows], task.y[rows]).predict(task.valid_x) == task.valid_y).mean())
