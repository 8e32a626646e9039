"""Sources of returns in reinforcement learning: Dopamine and ARLBench. Returns are raw: their scale differs per game or environment."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sources.files import Source


def dopamine(folder: Path) -> Source:
    """Dopamine's Atari baselines (Castro et al. 2018): five runs of each of six agents per game, sticky actions.

    A file lists records of all runs, one after the other; a run begins where the agent changes or the iteration falls.

    Args:
        folder: a clone, baselines/atari/data/<game>.json. Its other files, <game>_<network>.json, are other studies and not read.
    """
    curves, groups = [], []
    for path in sorted(folder.glob("baselines/atari/data/*.json")):
        if "_" in path.stem or path.stem.endswith(".vg"):
            continue
        rows = pd.DataFrame(json.loads(path.read_text()))
        run = ((rows["Agent"] != rows["Agent"].shift()) | (rows["Iteration"] <= rows["Iteration"].shift())).cumsum()
        for _, curve in rows.groupby(run):
            curves.append((curve["Iteration"].to_numpy(float), curve["Value"].to_numpy(float)))
            groups.append(path.stem)
    if not curves:
        raise ValueError(f"expected baselines/atari/data/<game>.json, got none in {folder}; clone it anew")
    about = {
        "metric": "mean episode return per iteration",
        "direction": "max",
        "step_meaning": "iteration from 0 on, 250,000 agent steps each",
        "source": "github google/dopamine baselines/atari/data/*.json",
        "licence": "Apache-2.0",
        "preprocessing": "one curve per agent and run",
    }
    return Source(curves, groups, about)


def arlbench(folder: Path) -> Source:
    """ARLBench's landscapes (Becktepe et al. 2024): evaluations of DQN and PPO with hyperparameters of a Sobol sequence, ten seeds.

    Args:
        folder: a clone at a commit that has results/sobol/<algorithm>_<environment>/<seed>/<configuration>/evaluation.csv; they were
            removed from its later commits.
    """
    curves, groups = [], []
    for path in sorted(folder.glob("results/sobol/*/*/*/evaluation.csv")):
        rows = pd.read_csv(path)
        values = rows["returns"].to_numpy(float)
        curves.append((rows["steps"].to_numpy(float), np.where(np.isfinite(values), values, np.nan)))
        groups.append(path.parts[-4])
    if not curves:
        raise ValueError(f"expected results/sobol/*/*/*/evaluation.csv, got none in {folder}; check out an earlier commit")
    about = {
        "metric": "mean evaluation return of DQN or PPO",
        "direction": "max",
        "step_meaning": "environment steps",
        "source": "github automl/arlbench results/sobol/*/<seed>/<configuration>/evaluation.csv, from its history",
        "licence": "BSD-3-Clause",
        "preprocessing": "as stored",
    }
    return Source(curves, groups, about)
