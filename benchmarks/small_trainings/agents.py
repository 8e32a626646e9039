"""Learning to act, many runs side by side: temporal differences on cells or features, policy gradients, evolution, bandits.

Every function returns the mean return of the episodes that each run finished since the last evaluation, (R, S), NaN where it finished none.
"""

import numpy as np
from jaxtyping import Float

from benchmarks.small_trainings.plans import Plan
from benchmarks.small_trainings.worlds import World

METHODS = ("q-learning", "sarsa", "expected-sarsa", "double")


def temporal(plan: Plan, place: World, steps: np.ndarray, features: int) -> Float[np.ndarray, "R S"]:
    """Q-learning and its kin; each run plays some copies of the environment at once and learns from all of them.

    Args:
        plan: what varies.
        place: the environment.
        steps: (S,) environment steps of the evaluations, rising.
        features: random Fourier features of the state; 0 for the cells of the environment.
    """
    rng, last = plan.rng, int(steps[-1])
    copies = int(rng.choice([2, 4, 8, 16]))
    owner = np.repeat(np.arange(plan.runs), copies)
    every = np.arange(len(owner))
    values = Values(plan, place, features, copies)
    methods = plan.pick(METHODS, [0.45, 0.2, 0.2, 0.15])[owner]
    on_policy, expected, double = (methods == name for name in METHODS[1:])
    rate = plan.rate(0.03, 1.0) if not features else plan.rate(0.01, 2.0) * 2 / features
    discount = plan.pick([0.9, 0.97, 0.99, 1.0])[owner]
    time = np.linspace(0, 1, last + 1)[:, None]
    explore = plan.log(0.1, 1.0) * np.maximum(0, 1 - time / plan.pick([1e-3, 0.2, 0.6, 1e9], [0.2, 0.25, 0.3, 0.25]))
    explore = np.maximum(explore, plan.pick([0.0, 0.02, 0.1, 0.3], [0.2, 0.35, 0.35, 0.1]))
    rate = rate * plan.pick([1.0, 0.01], [0.8, 0.2]) ** time

    def act(value: np.ndarray, chance: np.ndarray) -> np.ndarray:
        best = (value + 1e-9 * rng.random(value.shape)).argmax(1)
        return np.where(rng.random(len(value)) < chance, rng.integers(0, place.actions, len(value)), best)

    state, tally, due, out = place.start(rng, len(owner)), Tally(plan.runs, copies), 0, []
    at = values.seen(state)
    action = act(values.of(0, at), explore[0][owner])
    for step in range(1, last + 1):
        new, reward, over = place.step(rng, state, action)
        finished, there, chance = tally.add(reward, over, place.limit), values.seen(new), explore[step][owner]
        first, second = values.of(0, there), values.of(1, there)
        half = double & (rng.random(len(owner)) < 0.5)  # which of the two tables learns; the other one judges its choice
        chooser, judge = np.where(half[:, None], second, first), np.where((double & ~half)[:, None], second, first)
        chosen = act(np.where(double[:, None], first + second, first), chance)
        greedy = judge[every, chooser.argmax(1)]
        mean = (1 - chance) * greedy + chance * judge.mean(1)
        ahead = np.where(on_policy, first[every, chosen], np.where(expected, mean, greedy))
        values.learn(half, at, action, reward + discount * ~over * ahead, rate[step][owner])
        state = np.where(finished[:, None], place.start(rng, len(owner)), new)
        at, action = values.seen(state), np.where(finished, rng.integers(0, place.actions, len(owner)), chosen)
        if step == steps[due]:
            out.append(tally.mean())
            due += 1
    return np.stack(out, axis=1)


class Values:
    """Two tables of action values for each run, over cells or over random Fourier features."""

    def __init__(self, plan: Plan, place: World, features: int, copies: int):
        rng, self.features, self.place, self.copies = plan.rng, features, place, copies
        self.owner = np.repeat(np.arange(plan.runs), copies)
        self.angles = rng.normal(size=(len(place.scale), features)) * rng.uniform(1, 4)
        self.shifts = rng.uniform(0, 2 * np.pi, features)
        hopeful = plan.pick([0.0, 1.0], [0.7, 0.3]) * (not features)
        self.table = np.zeros((2, plan.runs, place.actions, features or place.size)) + hopeful[:, None, None]

    def seen(self, state: np.ndarray) -> np.ndarray:
        """Cells (N,) or features (N, F) of states."""
        return np.cos(state / self.place.scale @ self.angles + self.shifts) if self.features else self.place.cells(state)

    def of(self, half: int, at: np.ndarray) -> Float[np.ndarray, "N A"]:
        """Value of each action by one of the tables."""
        if not self.features:
            return self.table[half, self.owner, :, at]
        return (at.reshape(-1, self.copies, self.features) @ self.table[half].transpose(0, 2, 1)).reshape(len(at), -1)

    def learn(self, half: np.ndarray, at: np.ndarray, action: np.ndarray, target: np.ndarray, rate: np.ndarray) -> None:
        """Moves the values of what was done towards the targets; features have the first table alone."""
        if not self.features:
            here = half.astype(int), self.owner, action, at
            self.table[here] += rate * (target - self.table[here])
            return
        error = rate * (target - self.of(0, at)[np.arange(len(at)), action])
        push = (np.arange(self.place.actions) == action[:, None]) * error[:, None]
        self.table[0] += push.reshape(-1, self.copies, self.place.actions).transpose(0, 2, 1) @ at.reshape(-1, self.copies, self.features)


class Tally:
    """Returns of running episodes, and of those finished since the last look."""

    def __init__(self, runs: int, copies: int):
        self.running, self.age = np.zeros((2, runs * copies))
        self.total, self.count, self.copies = np.zeros(runs), np.zeros(runs), copies

    def add(self, reward: np.ndarray, over: np.ndarray, limit: int) -> np.ndarray:
        """Whether the episode of each copy is finished by this step, (N,)."""
        self.running += reward
        self.age += 1
        finished = over | (self.age >= limit)
        self.total += np.where(finished, self.running, 0).reshape(-1, self.copies).sum(1)
        self.count += finished.reshape(-1, self.copies).sum(1)
        self.running[finished], self.age[finished] = 0, 0
        return finished

    def mean(self) -> np.ndarray:
        """Of the episodes finished since it was last asked, NaN if there was none."""
        mean = self.total / np.where(self.count, self.count, np.nan)
        self.total[:], self.count[:] = 0, 0
        return mean


def _inputs(place: World, state: np.ndarray) -> np.ndarray:
    """What a policy is linear in: which cell it is, or the coordinates and 1."""
    if len(place.scale) == 1:
        return np.eye(place.size)[place.cells(state)]
    return np.concatenate([state / place.scale, np.ones((len(state), 1))], axis=1)


def _width(place: World) -> int:
    return place.size if len(place.scale) == 1 else len(place.scale) + 1


def episodes(rng: np.random.Generator, place: World, weights: Float[np.ndarray, "R D A"], count: int, greedy: bool):
    """Plays ``count`` episodes of each run with softmax (or greedy) policies linear in the state.

    Returns:
        Returns (R, count), and for each step the features (R, count, D), action (R, count), its chances (R, count, A), and who still plays.
    """
    runs = len(weights)
    state = place.start(rng, runs * count)
    alive, total, trace = np.ones(runs * count, bool), np.zeros(runs * count), []
    for _ in range(place.limit):
        x = _inputs(place, state).reshape(runs, count, -1)
        logits = np.nan_to_num(x @ weights)
        if greedy:
            action = logits.argmax(2)
        else:
            chances = np.exp(logits - logits.max(2, keepdims=True))
            chances /= chances.sum(2, keepdims=True)
            action = np.minimum((rng.random((runs, count, 1)) > chances.cumsum(2)).sum(2), place.actions - 1)
            trace.append((x, action, chances, alive.reshape(runs, count)))
        new, reward, over = place.step(rng, state, action.ravel())
        total += reward * alive
        state = np.where(alive[:, None], new, state)
        alive = alive & ~over
        if not alive.any():
            break
    return total.reshape(runs, count), trace


def gradients(plan: Plan, place: World, steps: np.ndarray) -> Float[np.ndarray, "R S"]:
    """REINFORCE with the mean of the batch as baseline; steps are iterations of a batch of episodes."""
    rng, runs = plan.rng, plan.runs
    weights, rate, decay = np.zeros((runs, _width(place), place.actions)), plan.rate(0.003, 3.0), plan.pick([0.0, 1.0], [0.7, 0.3])
    normal, batch, out, due = plan.pick([True, False], [0.7, 0.3]), int(rng.integers(2, 9)), [], 0
    sums, count = np.zeros(runs), 0
    for step in range(1, int(steps[-1]) + 1):
        returns, trace = episodes(rng, place, weights, batch, greedy=False)
        sums, count = sums + returns.mean(1), count + 1
        gain = returns - returns.mean(1, keepdims=True)
        gain /= np.where(normal[:, None], returns.std(1, keepdims=True) + 1e-6, place.limit)
        up = np.zeros_like(weights)
        for x, action, chances, alive in trace:
            push = ((np.arange(place.actions) == action[..., None]) - chances) * (gain * alive)[..., None]
            up += x.transpose(0, 2, 1) @ push
        weights += (rate * (1 - decay * step / steps[-1]))[:, None, None] * up / (batch * len(trace) ** 0.5)
        if step == steps[due]:
            out.append(sums / count)
            sums, count, due = np.zeros(runs), 0, due + 1
    return np.stack(out, axis=1)


def evolution(plan: Plan, place: World, steps: np.ndarray) -> Float[np.ndarray, "R S"]:
    """Cross-entropy method on linear policies; steps are generations, and what is measured are greedy episodes of their centre."""
    rng, runs, shape = plan.rng, plan.runs, (_width(place), place.actions)
    population, trials = int(rng.integers(6, 14)), int(rng.integers(1, 4))
    centre, spread = np.zeros((runs, *shape)), np.ones((runs, *shape)) * plan.log(0.05, 2.0)[:, None, None]
    best, inertia, floor = max(1, int(population * rng.uniform(0.15, 0.5))), plan.pick([0.0, 0.5, 0.8]), plan.pick([0.0, 0.02, 0.2])
    out, due = [], 0
    for step in range(1, int(steps[-1]) + 1):
        tried = centre[:, None] + spread[:, None] * rng.normal(size=(runs, population, *shape))
        returns, _ = episodes(rng, place, tried.reshape(-1, *shape), trials, greedy=True)
        order = returns.mean(1).reshape(runs, population).argsort(1)[:, -best:]
        chosen, keep = tried[np.arange(runs)[:, None], order], inertia[:, None, None]
        centre = keep * centre + (1 - keep) * chosen.mean(1)
        spread = keep * spread + (1 - keep) * chosen.std(1) + floor[:, None, None]
        if step == steps[due]:
            out.append(episodes(rng, place, centre, 4, greedy=True)[0].mean(1))
            due += 1
    return np.stack(out, axis=1)


def bandits(plan: Plan, steps: np.ndarray) -> Float[np.ndarray, "R S"]:
    """Many-armed bandits with an ε-greedy or a gradient rule, arms at rest or drifting: mean reward since the last look."""
    rng, runs, arms = plan.rng, np.arange(plan.runs), int(plan.rng.integers(3, 30))
    means = np.repeat(rng.normal(size=(1, arms)), plan.runs, 0) if rng.random() < 0.5 else rng.normal(size=(plan.runs, arms))
    noise, drift = rng.uniform(0.1, 2), float(rng.choice([0.0, 0.005, 0.03]))
    gradient, rate, explore = plan.pick([True, False]), plan.rate(0.01, 1.0), plan.log(0.005, 0.3)
    value, mean, tally, out, due = np.zeros((plan.runs, arms)), np.zeros(plan.runs), np.zeros(plan.runs), [], 0
    for step in range(1, int(steps[-1]) + 1):
        chances = np.exp(value - value.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        soft = np.minimum((rng.random((plan.runs, 1)) > chances.cumsum(1)).sum(1), arms - 1)
        hard = np.where(
            rng.random(plan.runs) < explore, rng.integers(0, arms, plan.runs), (value + 1e-9 * rng.random(value.shape)).argmax(1)
        )
        action = np.where(gradient, soft, hard)
        reward = means[runs, action] + noise * rng.normal(size=plan.runs)
        taken = np.arange(arms) == action[:, None]
        push = np.where(gradient[:, None], (reward - mean)[:, None] * (taken - chances), taken * (reward[:, None] - value))
        value += rate[:, None] * push
        mean += (reward - mean) / step
        means = means + drift * rng.normal(size=means.shape) if drift else means
        tally += reward
        if step == steps[due]:
            out.append(tally / (step - (steps[due - 1] if due else 0)))
            tally, due = np.zeros(plan.runs), due + 1
    return np.stack(out, axis=1)
