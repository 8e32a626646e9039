"""Models on disk: what is saved comes back, what is damaged or foreign is refused by name, nothing is unpickled or half written."""

import ast
import json
import pickle
import runpy
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lcx import files
from lcx.pfn import checkpoint
from lcx.pfn.checkpoint import CONFIG, STATE, WEIGHTS, as_device, begin_run, load, read_config, read_tensors, save, write_tensors
from lcx.pfn.model import PFN, PFNConfig

CPU = torch.device("cpu")
SMALL = PFNConfig(width=16, layers=1, heads=4, expansion=2, decoder_layers=1, components=3)
ABOUT = {"prior": "parametric", "curves_seen": 12, "validation": {"10": {"log_score": 1.5}}, "name": "naïve"}
ROOT = Path(__file__).resolve().parents[2]


def network(config: PFNConfig = SMALL, seed: int = 3) -> PFN:
    model = PFN(config)
    model.initialise(torch.Generator().manual_seed(seed))
    return model


@pytest.fixture
def folder(tmp_path):
    save(network(), tmp_path / "model", ABOUT)
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuses(folder: Path, *says: str) -> None:
    with pytest.raises(ValueError) as caught:
        load(folder, CPU)
    assert type(caught.value) is ValueError
    for text in (str(folder), "expected", "got", *says):
        assert text in str(caught.value), str(caught.value)
    assert ";" in str(caught.value)  # what to do comes last


# ------------------------------------------------------------------------------------------------------------------ round trip


def test_a_run_goes_on_with_the_configuration_it_began_with_and_no_other(tmp_path):
    asked = {"width": 16, "real": None, "sizes": (1, 2), "name": "naïve"}
    with pytest.raises(ValueError, match="found none"):
        begin_run(tmp_path, asked, resume=True)
    begin_run(tmp_path, asked, resume=False)
    (tmp_path / STATE).touch()
    begin_run(tmp_path, asked, resume=True)
    with pytest.raises(ValueError, match="width=32 instead of 16"):
        begin_run(tmp_path, asked | {"width": 32}, resume=True)


def test_round_trip(folder):
    model, about = load(folder, CPU)
    assert model.config == SMALL
    assert not model.training
    assert about == {"model": asdict(SMALL), **ABOUT}
    want, got = network().state_dict(), model.state_dict()
    assert want.keys() == got.keys()
    for name, x in want.items():
        assert got[name].dtype == torch.float32
        assert torch.equal(got[name], x), name
    values, steps = torch.rand(2, 5, generator=torch.Generator().manual_seed(0)), torch.arange(1.0, 6.0).expand(2, -1)
    with torch.no_grad():
        assert torch.equal(model.encode(values, steps).states, network().encode(values, steps).states)


def test_two_files_readable_by_all(folder):
    assert contents(folder).keys() == {WEIGHTS, CONFIG} == {"model.safetensors", "config.json"}
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())
    assert (folder / CONFIG).read_text().endswith("}\n")


def test_saving_makes_folders_and_replaces(tmp_path):
    deep = tmp_path / "a" / "b"
    save(network(seed=1), deep, {})
    save(network(seed=2), deep, ABOUT)
    model, about = load(deep, CPU)
    assert about["prior"] == "parametric"
    assert torch.equal(model.embed.weight, network(seed=2).embed.weight)


def test_weights_of_other_precision_are_saved_as_float32(tmp_path):
    save(network().double(), tmp_path, {})
    assert {x.dtype for x in read_tensors(tmp_path / WEIGHTS).values()} == {torch.float32}
    assert torch.equal(load(tmp_path, CPU)[0].head.weight, network().head.weight)


def test_saving_leaves_the_model_as_it_was(tmp_path):
    model = network().double().train()
    save(model, tmp_path, {})
    assert model.training
    assert model.embed.weight.dtype == torch.float64


# -------------------------------------------------------------------------------------------------------- damaged and foreign


def test_missing_folder_and_files(tmp_path, folder):
    refuses(tmp_path / "nowhere", CONFIG)
    refuses(folder / CONFIG, CONFIG)  # a file instead of a folder
    (folder / WEIGHTS).unlink()
    refuses(folder, WEIGHTS)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"model": {"width": 16}', b"[1, 2", b"\x00\xff\xfe", b"{'model': 1}", b"PK\x03\x04zip", b"\xff\xfe{\x00}\x00"],
    ids=str,
)
def test_config_that_is_not_json(folder, content):
    (folder / CONFIG).write_bytes(content)
    refuses(folder, CONFIG)
    with pytest.raises(ValueError, match=CONFIG):
        read_config(folder)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"model"', "true"])
def test_config_that_is_no_object(folder, content):
    (folder / CONFIG).write_text(content)
    refuses(folder, CONFIG, "JSON object")


GOOD = asdict(SMALL)
NO_MODEL = {
    "missing": {},
    "null": {"model": None},
    "list": {"model": [16, 1]},
    "number": {"model": 16},
    "extra key": {"model": {**GOOD, "dropout": 0.1}},
    "text": {"model": {**GOOD, "width": "16"}},
    "fraction": {"model": {**GOOD, "width": 16.5}},
    "null width": {"model": {**GOOD, "width": None}},
    "negative": {"model": {**GOOD, "width": -16}},
    "no heads": {"model": {**GOOD, "heads": 0}},
    "no layers": {"model": {**GOOD, "layers": 0}},
    "heads do not divide": {"model": {**GOOD, "heads": 3}},
}


@pytest.mark.parametrize("name", NO_MODEL)
def test_config_that_describes_no_model(folder, name):
    (folder / CONFIG).write_text(json.dumps(NO_MODEL[name]))
    refuses(folder, CONFIG if name != "no layers" else "")


@pytest.mark.parametrize(
    "change", [{"width": 32}, {"layers": 2}, {"expansion": 3}, {"decoder_layers": 2}, {"components": 4}, {"decoder_layers": 3}], ids=str
)
def test_config_that_does_not_fit_its_weights(folder, change):
    (folder / CONFIG).write_text(json.dumps({"model": asdict(replace(SMALL, **change))}))
    refuses(folder, "to fit its config", "shape")


def test_config_without_a_field_that_differs_from_its_default(folder):
    """Left out fields take their default, which then does not fit."""
    (folder / CONFIG).write_text(json.dumps({"model": {k: v for k, v in GOOD.items() if k != "components"}}))
    refuses(folder, "head.weight")


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, -1])
def test_truncated_weights(folder, keep):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    refuses(folder, WEIGHTS)


class Bomb:
    """What a pickle can do: leaves a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def foreign(kind: str, proof: Path) -> bytes:
    if kind == "random":
        return bytes(torch.randint(0, 256, (5000,), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).tolist())
    if kind == "pickle":
        return pickle.dumps(Bomb(proof))
    if kind == "torch":
        torch.save({"bomb": Bomb(proof)}, proof.with_name("bomb.pt"))
        return proof.with_name("bomb.pt").read_bytes()
    return {"text": b"not tensors", "huge header": b"\xff" * 8 + b"{}", "empty header": bytes(8)}[kind]


@pytest.mark.parametrize("kind", ["random", "pickle", "torch", "text", "huge header", "empty header"])
def test_foreign_weights(tmp_path, folder, kind):
    proof = tmp_path / "unpickled"
    (folder / WEIGHTS).write_bytes(foreign(kind, proof))
    refuses(folder, WEIGHTS)
    assert not proof.exists()
    if kind == "pickle":
        pickle.loads((folder / WEIGHTS).read_bytes())  # the bomb does work
        assert proof.exists()


def test_weights_that_are_a_folder(folder):
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()
    refuses(folder, WEIGHTS)


@pytest.mark.parametrize("kind", ["extra", "missing", "renamed", "shape", "none"])
def test_weights_of_another_network(folder, kind):
    tensors = read_tensors(folder / WEIGHTS)
    if kind == "extra":
        tensors["extra.weight"] = torch.ones(3)
    elif kind == "missing":
        del tensors["state.weight"]
    elif kind == "renamed":
        tensors["stat.weight"] = tensors.pop("state.weight")
    elif kind == "shape":
        tensors["state.weight"] = tensors["state.weight"].reshape(-1)
    else:
        tensors = {}
    write_tensors(tensors, folder / WEIGHTS)
    refuses(folder, "to fit its config", {"extra": "extra.weight", "none": "embed.weight"}.get(kind, "state.weight"))


# ------------------------------------------------------------------------------------------------------------------- checksum


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_one_damaged_bit_of_the_weights_is_refused(folder, place):
    """Any bit of the data, even the last of a mantissa, which leaves a plausible weight."""
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[int(place * len(data)) // 4 * 4] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    refuses(folder, WEIGHTS, "not what was written")


@pytest.mark.parametrize("change", [{"heads": 2}, {"heads": 1}, {"heads": True}])
def test_a_config_that_fits_but_is_not_the_one_of_the_weights_is_refused(folder, change):
    """The number of heads shows in no shape."""
    (folder / CONFIG).write_text(json.dumps({"model": GOOD | change}))
    refuses(folder, WEIGHTS, "instead of")


def test_a_damaged_state_is_refused_and_one_without_checksum_is_read(tmp_path):
    tensors = {"a": torch.arange(5.0), "step": torch.tensor(3.0), "n": torch.tensor([1, 2])}
    write_tensors(tensors, tmp_path / "state")
    got = read_tensors(tmp_path / "state")
    assert got.keys() == tensors.keys()
    assert all(torch.equal(got[name], x) for name, x in tensors.items())
    data = bytearray((tmp_path / "state").read_bytes())
    data[-1] ^= 64
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(ValueError, match="not what was written; restore"):
        read_tensors(tmp_path / "state")
    safetensors.torch.save_file(tensors, tmp_path / "old")
    assert torch.equal(read_tensors(tmp_path / "old")["a"], tensors["a"])


def test_a_model_without_checksum_is_read(folder):
    safetensors.torch.save_file(read_tensors(folder / WEIGHTS), folder / WEIGHTS)
    assert load(folder, CPU)[0].config == SMALL


# --------------------------------------------------------------------------------------------------------------------- hostile

HOSTILE = [{"width": 10**9}, {"width": 10**9, "heads": 1}, {"layers": 10**9}, {"components": 10**12}, {"expansion": 10**9}]
HOSTILE += [{"decoder_layers": 10**6}, {"width": 2**70}, {"width": 1, "heads": 1, "expansion": 1, "layers": 10**7}, {"expansion": "4" * 99}]


@pytest.mark.parametrize("change", HOSTILE, ids=str)
def test_a_config_that_asks_for_the_impossible_is_refused_before_anything_is_built(folder, change):
    """Any of these would take gigabytes or hours."""
    (folder / CONFIG).write_text(json.dumps({"model": GOOD | change}))
    refuses(folder, "")


@pytest.mark.parametrize("text", [" " * 2**21, '{"model": {"width": ' + "9" * 5000 + "}}", "[" * 500_000], ids=["long", "digits", "deep"])
def test_a_config_no_model_has_is_refused(folder, text):
    (folder / CONFIG).write_text(text)
    refuses(folder, CONFIG)


def test_a_header_no_model_has_is_refused_unread(folder):
    (folder / WEIGHTS).write_bytes((2**22).to_bytes(8, "little") + b" " * 2**22)
    refuses(folder, WEIGHTS, "a header of 4194304 bytes")


@pytest.mark.parametrize("kind", [torch.int32, torch.float8_e4m3fn, torch.complex64, torch.bool], ids=str)
def test_tensors_that_are_no_weights_are_refused(folder, kind):
    tensors = read_tensors(folder / WEIGHTS)
    write_tensors(tensors | {"state.weight": tensors["state.weight"].to(kind)}, folder / WEIGHTS, GOOD)
    refuses(folder, WEIGHTS, "state.weight", "of kind")


@pytest.mark.parametrize("name", ["meta", "nowhere", "cuda:99", "xpu", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=rf"expected the name of a device, got '{name}' .*; write cpu"):
        as_device(name)


# ------------------------------------------------------------------------------------------------------------------ atomicity


def half_written(tensors, path, *about):
    Path(path).write_bytes(b"half")
    raise OSError("No space left on device")


def test_an_error_while_writing_tensors_leaves_the_old_file(monkeypatch, folder):
    before = contents(folder)
    monkeypatch.setattr(checkpoint, "save_file", half_written)
    with pytest.raises(OSError, match="No space left"):
        save(network(seed=9), folder, {"other": 1})
    assert contents(folder) == before


def test_an_error_while_renaming_leaves_the_old_file(monkeypatch, folder):
    before = contents(folder)

    def refused(source, target):
        assert Path(source).parent == Path(target).parent  # or the rename could not be atomic
        assert Path(source).read_bytes() != before[WEIGHTS]
        raise PermissionError("refused")

    monkeypatch.setattr(files.os, "replace", refused)
    with pytest.raises(PermissionError, match="refused"):
        save(network(seed=9), folder, {})
    assert contents(folder) == before


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_the_old_one(monkeypatch, folder):
    order, sync, rename = [], files.os.fsync, files.os.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: order.append("sync") or sync(handle))
    monkeypatch.setattr(files.os, "replace", lambda *names: order.append("rename") or rename(*names))
    save(network(), folder, ABOUT)
    assert order == ["sync", "rename"] * 2


def test_the_file_is_whole_at_every_moment(monkeypatch, folder):
    """While the new file is written the old one is what a reader gets."""
    seen, plain = [], safetensors.torch.save_file

    def watched(tensors, path, *about):
        plain(tensors, path, *about)
        seen.append(load(folder, CPU)[0].embed.weight)

    monkeypatch.setattr(checkpoint, "save_file", watched)
    save(network(seed=9), folder, {})
    assert torch.equal(seen[0], network().embed.weight)
    assert torch.equal(load(folder, CPU)[0].embed.weight, network(seed=9).embed.weight)


# --------------------------------------------------------------------------------------------------------------------- safety

READS_PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def risks(source: str) -> list[str]:
    """Places in Python source that could unpickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            from_torch = isinstance(node, ast.ImportFrom) and node.module == "torch" and any(a.name == "load" for a in node.names)
            found += [f"line {node.lineno}"] * (from_torch or any(name.split(".")[0] in READS_PICKLES for name in names))
        elif isinstance(node, ast.Attribute):
            call = ast.unparse(node)
            risky = call.endswith(("torch.load", "jit.load", "hub.load", "read_pickle")) or call.split(".")[0] in READS_PICKLES
            found += [f"line {node.lineno}"] * risky
        elif isinstance(node, ast.keyword):
            refused = node.arg == "allow_pickle" and isinstance(node.value, ast.Constant) and node.value.value is False
            found += [f"line {node.value.lineno}"] * (node.arg in ("allow_pickle", "weights_only") and not refused)
    return found


def test_nothing_unpickles():
    files = [*(ROOT / "lcx").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    assert len(files) > 10
    assert {str(path): found for path in files if (found := risks(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\nx = torch.load('a', weights_only=True)",
        "import torch\nf = torch.load",
        "from torch import load",
        "import joblib as j",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "import pandas as pd\npd.read_pickle('a')",
        "torch.hub.load('a', 'b')",
    ],
)
def test_the_search_for_unpickling_finds_it(source):
    """Negative control."""
    assert risks(source)


def test_the_mean_of_two_models_has_the_mean_of_each_weight(folder, tmp_path, monkeypatch):
    save(network(seed=4), tmp_path / "other", ABOUT | {"curves_seen": 20})
    monkeypatch.setattr("sys.argv", ["average.py", str(folder), str(tmp_path / "other"), "--folder", str(tmp_path / "mean")])
    runpy.run_path(str(ROOT / "scripts" / "average.py"), run_name="__main__")
    mean, about = load(tmp_path / "mean", CPU)
    for p, a, b in zip(mean.parameters(), network().parameters(), network(seed=4).parameters(), strict=True):
        torch.testing.assert_close(p, (a + b) / 2)
    assert (about["curves_seen"], about["averaged_with"]) == (20, str(folder))
