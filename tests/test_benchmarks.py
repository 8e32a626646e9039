"""The benchmarks' pages say what the stored results say, and the commands on them can be given; interrupted stores go on."""

import re
import subprocess
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
import torch
from scipy.stats import binom

from benchmarks import cards, rows, tables
from benchmarks.faults import mutants
from benchmarks.faults.changes import changes
from benchmarks.mcmc import convergence
from benchmarks.mcmc.references import curves
from benchmarks.provenance import ROOT, command, labelled
from benchmarks.stopping.early_stop import in_place
from lcx.priors.parametric import PARAMETRIC


@pytest.fixture(scope="module")
def pages():
    return tables.pages()


def test_pages_are_those_of_the_results(pages):
    """``python benchmarks/tables.py`` would change nothing."""
    assert [path.relative_to(ROOT).as_posix() for path, text in pages.items() if path.read_text() != text] == []


def test_commands_on_the_pages_name_scripts_and_options_that_exist(pages):
    printed = re.findall(r"`(?:python|torchrun [^`]*?) (benchmarks/[^`]*)`", "\n".join(pages.values()))
    printed += re.findall(r"python (benchmarks/.*)", (ROOT / "Makefile").read_text())
    assert len(printed) > 30
    for line in printed:
        script, *options = line.split()
        source = (ROOT / script).read_text()
        for option in (word for word in options if word.startswith("--")):
            assert f'"{option}"' in source, line


def test_scripts_and_modules_named_on_the_pages_exist(pages):
    for path in re.findall(r"benchmarks/[\w/]+\.py", "\n".join(pages.values())):
        assert (ROOT / path).is_file(), path
    for picture in re.findall(r"\]\(([\w/.-]+\.png)\)", pages[ROOT / "benchmarks" / "README.md"]):
        assert (ROOT / "benchmarks" / picture).is_file(), picture


def test_old_commands_are_told_with_the_paths_of_today():
    told = command({"command": "torchrun --nproc_per_node=2 benchmarks/ranks.py --turns 2"})
    assert told == "torchrun --nproc_per_node=2 benchmarks/scale/ranks.py --turns 2"
    assert command({"command": told}) == told


def test_small_faults_change_one_place_and_leave_texts_errors_and_defaults_alone(tmp_path):
    source = 'def f(a, b=1):\n    "A text."\n    if a < 2 and b:\n        raise ValueError(f"{a + 1}")\n    return g(a * a, 3, key=b)\n'
    (tmp_path / "some.py").write_text(f"class C:\n    x = 1 + 1\n{indent(source, '    ')}")
    found = changes("some.py", tmp_path)
    assert {change.function for change in found} == {"C.f"}
    branch = {f"- if a < 2 and b:\n+ if {x}:" for x in ("a < 2 or b", "a <= 2 and b", "a > 2 and b", "a < 3 and b")}
    results = ("None", "g(a * a, 3)", "g(3, a * a, key=b)", "g(a / a, 3, key=b)", "g(a * a, 4, key=b)")
    assert {change.lines for change in found} == branch | {f"- return g(a * a, 3, key=b)\n+ return {x}" for x in results}
    assert len(found) == 9


def test_the_share_of_faults_that_are_noticed_has_its_exact_interval():
    """By the binomial law: all of 40 are noticed with chance 2.5 % at the lower end."""
    low, high = mutants.interval(40, 40)
    assert (low**40, high) == (pytest.approx(0.025, rel=0.05), 1.0)
    assert mutants.interval(0, 40) == pytest.approx([0.0, 1 - low], abs=1e-3)
    low, high = mutants.interval(30, 40)
    assert binom.sf(29, 40, low) == pytest.approx(0.025, rel=0.05)
    assert binom.cdf(30, 40, high) == pytest.approx(0.025, rel=0.05)


def test_rows_cut_short_by_an_interruption_are_left_out_and_written_over(tmp_path: Path):
    path = tmp_path / "new" / "rows.jsonl"
    assert rows.stored(path) == []
    with rows.appended(path) as out:
        rows.append({"curve": 1}, out)
    with path.open("a") as out:
        out.write('{"curve": 2, "sco')
    with rows.appended(path) as out:
        rows.append({"curve": 2}, out)
    assert rows.stored(path) == [{"curve": 1}, {"curve": 2}]


def test_rows_of_other_code_of_the_samplers_are_left_out_unless_told_that_they_answer_alike(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(convergence, "results_of", lambda _: tmp_path)
    monkeypatch.setattr(convergence, "provenance", lambda: dict.fromkeys(("date", "commit", "device", "torch"), "any"))
    monkeypatch.setattr(convergence, "answers", lambda method, contexts, known, processes: map(answer, sorted(set(contexts) - known)))

    def answer(key: tuple[int, int]) -> dict:
        return {
            "curve": key[0],
            "cutoff": key[1],
            "converged": True,
            "cpu": 1.234,
            "ess": 500.4,
            "log_score": 2.0,
            "quantiles": [[0.0, 1.0]],
        }

    gold = {(0, 10): {"quantiles": [[0.1, 1.1]]}}
    convergence.store("smc-gate", [(0, 10), (1, 10)], ("old",), gold, 1)
    convergence.store("smc-gate", [(1, 10), (2, 10)], ("new",), gold, 1)
    assert set(convergence.kept("smc-gate", ("new",))) == {(1, 10), (2, 10)}
    assert "2 rows of other code than new are left out" in capsys.readouterr().out
    convergence.store("smc-gate", [(0, 10), (3, 10)], ("new", "old"), gold, 1)
    rows = convergence.kept("smc-gate", ("new", "old"))
    assert sorted(rows) == [(0, 10), (1, 10), (2, 10), (3, 10)]
    assert rows[0, 10] == {"curve": 0, "cutoff": 10, "converged": True, "cpu": 1.23, "ess": 500, "log_score": 2.0, "distance": 0.1}
    assert rows[3, 10]["distance"] is None
    assert len((tmp_path / "convergence_smc-gate.jsonl").read_text().splitlines()) == 3 + 5  # (1, 10) twice, by two codes


def test_emcee_goes_on_from_its_last_chunk_on_the_density_of_the_prior(tmp_path: Path, monkeypatch):
    pytest.importorskip("emcee")
    from benchmarks.mcmc import emcee_gate

    z, y = PARAMETRIC.draw(40, torch.Generator().manual_seed(0)).double(), torch.from_numpy(curves()[3, :10])
    z[::2] = torch.randn(20, PARAMETRIC.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours, whole = emcee_gate.density(3)(z.numpy()), PARAMETRIC.log_joint(z, y, emcee_gate.GRID[:10]).numpy()
    inside = np.isfinite(whole)
    assert 20 <= inside.sum() < 40
    np.testing.assert_array_equal(np.isfinite(ours), inside)
    np.testing.assert_allclose(np.ptp(whole[inside] - ours[inside]), 0, atol=1e-9)
    monkeypatch.setattr(emcee_gate, "CHUNK", 500)
    emcee_gate.advance(3, tmp_path)
    first = emcee_gate.chains(tmp_path)
    emcee_gate.advance(3, tmp_path)
    both = emcee_gate.chains(tmp_path)
    assert both.shape == (20, 100, PARAMETRIC.dim)
    np.testing.assert_array_equal(both[:10], first)
    found = emcee_gate.check(both)
    assert (found["steps"], found["passed"]) == (1000, False)
    still = (both[10] == both[9]).all(1).mean()
    assert still < 0.5  # fifty steps moved most of them, from where they stood:
    assert np.corrcoef(both[10, :, -1], both[9, :, -1])[0, 1] > 0.2


def test_two_models_of_one_name_are_refused_lest_one_has_the_results_of_the_other():
    assert labelled(["general", "runs/twin"]) == {"general": "general", "twin": "runs/twin"}
    with pytest.raises(ValueError, match="link one of the folders under another name"):
        labelled(["general", "benchmarks/left_out/general"])


def test_the_makefile_names_tests_that_exist():
    """Targets that no other test runs would fail unseen until a release."""
    targets = ["test", "test-slow", "test-oldest", "test-docs", "test-wheel", "test-page", "test-integrations"]
    told = subprocess.run(["make", "--dry-run", "--always-make", *targets], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"(?<![\w-])tests/[\w/.-]+", told))
    assert {"tests/test_extrapolator.py", "tests/export", "tests/integrations", "tests/test_docs.py"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_card_tells_what_a_later_stage_set_back_to_its_default():
    """With --start some options default to those of the stage before, so the command must name them."""
    sizes = {"reader": 48, "width": 96}
    first = {"pretraining": {"prior": "general", "studies": 0.6, "model": sizes}, "curves_seen": 5, "minutes": 1}
    second = {"pretraining": {"prior": "scaling", "studies": 0.0, "model": sizes | {"reader": 0}}, "curves_seen": 9, "minutes": 2}
    *_, said = cards.commands(second | {"started_from": first})
    assert said.endswith("--minutes 2 --prior scaling --studies 0.0 --reader 0 --width 96 --start runs/stage1`")


def test_rows_replayed_again_take_the_place_of_those_stored_for_the_same_task_alone():
    stored = {
        "family": "a",
        "runs": 3,
        "points": 9,
        "budget": 6.0,
        "best": 0.1,
        "unit": 1.0,
        "methods": {"none": {"x": 1}, "study": {"x": 2}},
    }
    found = in_place(stored, stored | {"methods": {"study": {"x": 3}}})
    assert found == stored | {"methods": {"none": {"x": 1}, "study": {"x": 3}}}
    for other in ({"budget": 7.0}, {"best": 0.2}, {"methods": {"new": {"x": 3}}}):
        with pytest.raises(ValueError, match="expected the task and methods that are stored"):
            in_place(stored, stored | {"methods": {}} | other)
