"""The benchmark of scaling laws: what is read, the forms that are fitted, and how an answer is scored."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scaling_laws.laws import LAWS, fitted
from benchmarks.scaling_laws.run import score
from benchmarks.scaling_laws.split import COLUMNS, FILES, Scaling, load

SIZES = np.geomspace(1e6, 1e9, 24)
AHEAD = np.array([2e9, 4e9])
TRUTHS = {
    "M1": lambda x: 9 * x**-0.2,
    "M2": lambda x: 0.3 + 40 * x**-0.3,
    "M3": lambda x: 20 * (1 / x + 2e-9) ** 0.2,
    # (y - e) / (e0 - y)^a = b x^-c with a = 1, solved for y.
    "M4": lambda x: (0.2 + 3000 * x**-0.5) / (1 + 3000 * x**-0.5),
    "BNSL": lambda x: 0.1 + 2 * x**-0.1 * (1 + (x / 1e7) ** 2) ** -0.1,
}


@pytest.mark.parametrize("name", LAWS)
def test_a_form_finds_a_curve_of_its_own_and_what_follows(name):
    values = TRUTHS[name](SIZES)
    median, sd = fitted(LAWS[name], SIZES, values, AHEAD)
    np.testing.assert_allclose(np.exp(median), TRUTHS[name](AHEAD), rtol=2e-3)
    assert sd < 2e-4


def test_the_noise_is_the_residuals_sd_with_degrees_of_freedom_counted():
    off = np.tile([0.1, -0.1], 12)
    _, sd = fitted(LAWS["M1"], SIZES, TRUTHS["M1"](SIZES) * np.exp(off), AHEAD)
    assert sd == pytest.approx(0.1 * np.sqrt(24 / 22), rel=0.02)


def test_files_become_sorted_curves_whose_repeated_rows_count_once(tmp_path: Path):
    head = ",".join(COLUMNS)
    (tmp_path / FILES[0]).write_text(f"{head}\nIC,c_5,ViT,200,0.8,1\nIC,c_5,ViT,100,0.9,1\nIC,c_5,ViT,400,0.7,0\n")
    rows = ["10,0.5,1", "10,0.5,1", "20,0.4,1", "40,0.3,0"]
    (tmp_path / FILES[1]).write_text("\n".join([head, *(f'LM,val,"a, b",{row}' for row in rows)]))
    vision, language = load(tmp_path)
    assert (vision.domain, vision.name, language.name) == ("IC", "c_5, ViT", "val, a, b")
    assert [vision.steps.tolist(), vision.values.tolist(), vision.later_steps.tolist()] == [[100, 200], [0.9, 0.8], [400]]
    assert [language.steps.tolist(), language.values.tolist(), language.later_values.tolist()] == [[10, 20], [0.5, 0.4], [0.3]]
    (tmp_path / FILES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=FILES[1]):
        load(tmp_path)


def test_scores_of_an_answer():
    curve = Scaling("IC", "one", SIZES, SIZES, AHEAD, np.exp([1.0, 2.0]))
    found = score((np.array([1.3, 1.6]), np.array([-100.0, 2.0]), np.array([True, False])), curve)
    assert found == {"rmsle": pytest.approx(np.sqrt((0.09 + 0.16) / 2), rel=1e-3), "log_score": -10, "covered": 0.5}
