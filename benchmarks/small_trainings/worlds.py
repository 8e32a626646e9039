"""Tiny environments of reinforcement learning, many copies side by side."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

States = Float[np.ndarray, "N D"]
Moved = tuple[States, Float[np.ndarray, "N"], Bool[np.ndarray, "N"]]  # states, rewards, whether the episode is over

WORLDS = ("rooms", "cart-pole", "cliff", "mountain-car", "chain", "pendulum", "maze", "ice")


class World(NamedTuple):
    """An environment: its copies are the rows of a state."""

    actions: int
    limit: int  # steps of an episode at most
    start: Callable[[np.random.Generator, int], States]
    step: Callable[[np.random.Generator, States, Int[np.ndarray, "N"]], Moved]
    scale: Float[np.ndarray, "D"]  # what a usual state is divided by
    size: int  # number of cells
    cells: Callable[[States], Int[np.ndarray, "N"]]  # the cell of each state


def world(name: str, rng: np.random.Generator) -> World:
    """An environment of random size and difficulty, one of ``WORLDS``."""
    if name == "cart-pole":
        return cart_pole(rng)
    if name == "mountain-car":
        return mountain_car(rng)
    if name == "pendulum":
        return pendulum(rng)
    if name == "chain":
        return chain(rng)
    return gridworld(name, rng)


def _table(follow: np.ndarray, reward: np.ndarray, ends: np.ndarray, starts: np.ndarray, slip: float, limit: int) -> World:
    """A world of cells: where each action leads, (S, A), what it gives and whether it ends the episode; a slip is a random action."""

    def step(rng: np.random.Generator, state: States, action: np.ndarray) -> Moved:
        action = np.where(rng.random(len(action)) < slip, rng.integers(0, follow.shape[1], len(action)), action) if slip else action
        at = state[:, 0].astype(int), action
        return follow[at][:, None].astype(float), reward[at], ends[at]

    def start(rng: np.random.Generator, n: int) -> States:
        return rng.choice(starts, n).astype(float)[:, None]

    return World(follow.shape[1], limit, start, step, np.array([len(follow) / 2.0]), len(follow), lambda state: state[:, 0].astype(int))


def gridworld(name: str, rng: np.random.Generator) -> World:
    """A grid with a goal: four rooms with doors, a cliff along the way, a maze of random walls, or slippery ice with holes."""
    size = int(rng.integers(5, 10))
    kind = np.full((size, size), " ")
    start, goal = (0, 0), (size - 1, size - 1)
    if name == "rooms":
        middle = size // 2
        kind[middle, :], kind[:, middle] = "#", "#"
        kind[middle, 1], kind[middle, size - 2], kind[1, middle], kind[size - 2, middle] = " ", " ", " ", " "
    elif name == "cliff":
        start, goal = (size - 1, 0), (size - 1, size - 1)
        kind[size - 1, 1:-1] = "x"
    else:
        drawn = rng.random((size, size)) < (0.2 if name == "maze" else 0.12)
        drawn[0, :], drawn[:, -1] = False, False  # a way round
        kind[drawn] = "#" if name == "maze" else "x"
    cost, prize = float(rng.choice([0.0, 0.01, 0.1, 1.0])), float(rng.choice([1.0, 1.0, 10.0]))
    loss = float(rng.choice([0.0, 1.0, 10.0]))
    kind[start], kind[goal] = " ", "g"
    follow, reward, ends = np.zeros((size**2, 4), int), np.full((size**2, 4), -cost), np.zeros((size**2, 4), bool)
    for cell in range(size**2):
        for action, (down, right) in enumerate([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            to = min(max(cell // size + down, 0), size - 1), min(max(cell % size + right, 0), size - 1)
            to = divmod(cell, size) if kind[to] == "#" else to
            follow[cell, action] = to[0] * size + to[1]
            reward[cell, action] += prize if kind[to] == "g" else -loss if kind[to] == "x" else 0
            ends[cell, action] = kind[to] in ("g", "x")
    everywhere = np.flatnonzero(kind.ravel() == " ") if rng.random() < 0.3 else np.array([start[0] * size + start[1]])
    slip = float(rng.choice([0.0, 0.1, 0.3]))
    return _table(follow, reward, ends, everywhere, slip, int(rng.integers(40, 150)))


def chain(rng: np.random.Generator) -> World:
    """A chain whose far end pays and whose near end tempts."""
    size, tempting = int(rng.integers(4, 14)), float(rng.choice([0.0, 0.01, 0.1]))
    here = np.arange(size)
    follow = np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, size - 1)], axis=1)
    reward = np.zeros((size, 2))
    reward[0, 0], reward[-1, 1] = tempting, 1.0
    return _table(follow, reward, np.zeros((size, 2), bool), np.array([0]), float(rng.choice([0.0, 0.1, 0.2])), 2 * size)


def _bins(count: int, scale: np.ndarray) -> tuple[int, Callable[[States], np.ndarray]]:
    """Equal bins of each coordinate between -scale and scale."""
    powers = count ** np.arange(len(scale))

    def cells(state: States) -> np.ndarray:
        return (np.clip((state / scale + 1) / 2 * count, 0, count - 1).astype(int) * powers).sum(1)

    return count ** len(scale), cells


def cart_pole(rng: np.random.Generator) -> World:
    """A pole on a cart pushed left or right: 1 for each step that it stays up (Barto, Sutton and Anderson 1983)."""
    length, gravity, force, limit = rng.uniform(0.25, 0.8), 9.8, rng.uniform(6, 14), int(rng.choice([100, 150, 200]))
    scale = np.array([2.4, 3.0, 0.21, 3.0])

    def step(_: np.random.Generator, state: States, action: np.ndarray) -> Moved:
        x, speed, angle, turn = state.T
        push, sin, cos = force * (2 * action - 1), np.sin(angle), np.cos(angle)
        middle = (push + 0.1 * length * turn**2 * sin) / 1.1
        swing = (gravity * sin - cos * middle) / (length * (4 / 3 - 0.1 * cos**2 / 1.1))
        pull = middle - 0.1 * length * swing * cos / 1.1
        state = np.stack([x + 0.02 * speed, speed + 0.02 * pull, angle + 0.02 * turn, turn + 0.02 * swing], axis=1)
        return state, np.ones(len(state)), (np.abs(state[:, 0]) > 2.4) | (np.abs(state[:, 2]) > 0.21)

    return World(2, limit, lambda draw, n: draw.uniform(-0.05, 0.05, (n, 4)), step, scale, *_bins(6, scale))


def mountain_car(rng: np.random.Generator) -> World:
    """A car too weak for the hill, which has to swing: -1 a step until the top (Moore 1990)."""
    power, limit = rng.uniform(0.0008, 0.002), int(rng.choice([150, 200, 300]))
    scale = np.array([0.9, 0.07])

    def step(_: np.random.Generator, state: States, action: np.ndarray) -> Moved:
        place, speed = state[:, 0] - 0.3, state[:, 1]
        speed = np.clip(speed + power * (action - 1) - 0.0025 * np.cos(3 * place), -0.07, 0.07)
        place = np.clip(place + speed, -1.2, 0.6)
        speed = np.where(place <= -1.2, 0, speed)
        return np.stack([place + 0.3, speed], axis=1), -np.ones(len(place)), place >= 0.5

    def start(draw: np.random.Generator, n: int) -> States:
        return np.stack([draw.uniform(-0.3, -0.1, n), np.zeros(n)], axis=1)

    return World(3, limit, start, step, scale, *_bins(12, scale))


def pendulum(rng: np.random.Generator) -> World:
    """A pendulum to be swung up and held: the cost is the squared angle, with speed and torque."""
    torque, limit = rng.uniform(1.5, 5), int(rng.choice([60, 100, 150]))
    scale = np.array([np.pi, 8.0])

    def step(_: np.random.Generator, state: States, action: np.ndarray) -> Moved:
        angle, speed = state.T
        push = torque * (action - 1)
        cost = angle**2 + 0.1 * speed**2 + 0.001 * push**2
        speed = np.clip(speed + 0.05 * (15 * np.sin(angle) + 3 * push), -8, 8)
        angle = (angle + 0.05 * speed + np.pi) % (2 * np.pi) - np.pi
        return np.stack([angle, speed], axis=1), -cost, np.zeros(len(angle), bool)

    return World(
        3, limit, lambda draw, n: np.stack([draw.uniform(-np.pi, np.pi, n), draw.uniform(-1, 1, n)], 1), step, scale, *_bins(11, scale)
    )
