"""Optuna tries twelve learning rates for a small network on scikit-learn's digits; lcx prunes those that will not become the best."""

import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from lcx.integrations.optuna import LCXPruner

EPOCHS, TRIALS = 30, 12
x, y = load_digits(return_X_y=True)
x_train, x_valid, y_train, y_valid = train_test_split(x / 16, y, random_state=0)


def objective(trial: optuna.Trial) -> float:
    """Accuracy at the end, or what lcx predicts of it: that tells the sampler more than the last value of a pruned trial."""
    rate, accuracy = trial.suggest_float("rate", 1e-4, 0.3, log=True), 0.0
    network = MLPClassifier(16, learning_rate_init=rate, random_state=0)
    for epoch in range(EPOCHS):
        network.partial_fit(x_train, y_train, classes=range(10))
        accuracy = float(network.score(x_valid, y_valid))
        trial.report(accuracy, epoch)
        if trial.should_prune():
            return trial.user_attrs["lcx:predicted"]
    return accuracy


optuna.logging.set_verbosity(optuna.logging.WARNING)
pruner = LCXPruner(EPOCHS, bounds=(0, 1), min_points=4)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
study.optimize(objective, n_trials=TRIALS)
for trial in study.trials:
    said = trial.user_attrs.get("lcx:reason", "finished")
    print(f"rate {trial.params['rate']:.5f}: {len(trial.intermediate_values)} epochs, accuracy {trial.value:.3f}: {said}")
spent = sum(len(trial.intermediate_values) for trial in study.trials)
print(f"{spent} of {EPOCHS * TRIALS} epochs trained; best rate {study.best_params['rate']:.5f}, accuracy {study.best_value:.3f}")
