"""Files appear whole or not at all (more in tests/pfn/test_checkpoint.py)."""

from pathlib import Path

import pytest

from lcx.files import write_atomically, write_text


def test_an_error_while_writing_text_leaves_the_old_file(monkeypatch, tmp_path):
    path = tmp_path / "config.json"
    write_text("as it was", path)

    def half_text(self, text):
        self.write_bytes(text.encode()[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", half_text)
    with pytest.raises(KeyboardInterrupt):
        write_text("something else", path)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    assert path.read_text() == "as it was"


@pytest.mark.parametrize(
    ("name", "begins", "ends"), [(None, "run.jsonl", ".part.jsonl"), (("run", ".partial"), "run", ".partial"), ((".run.", ""), ".run.", "")]
)
def test_the_temporary_file_lies_beside_and_bears_the_name_asked_for(tmp_path, name, begins, ends):
    seen = []

    def write(temporary):
        seen.append(Path(temporary))
        Path(temporary).write_text("new")

    write_atomically(tmp_path / "run.jsonl", write, name=name)
    assert seen[0].parent == tmp_path
    assert seen[0].name.startswith(begins)
    assert seen[0].name.endswith(ends)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"run.jsonl": "new"}
