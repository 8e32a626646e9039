"""The table that a panel of W&B exports: a column per run, as "run-a - loss", with its MIN and MAX beside it."""

from typing import Any

from lcx.readers.cells import Column
from lcx.readers.sheet import Sheet

_ENDS = ("__MIN", "__MAX")


def unfold(sheet: Sheet, names: list[str]) -> Sheet:
    """The sheet with a row per run and step, if it is that of a panel; else the sheet itself.

    Args:
        sheet: of a table.
        names: its columns in their order; the first counts the steps.
    """
    values = [name for name in names[1:] if " - " in name and not name.endswith(_ENDS)]
    metrics = {name.rpartition(" - ")[2] for name in values}
    ranges = [name for name in names[1:] if name.endswith(_ENDS)]
    alike = len(values) > 1 and len(metrics) == 1 and len(values) == len(names) - 1
    there = [name for name in values if name in sheet.numbers and not name.endswith("_step")]
    if not (ranges or alike) or not there or names[0] not in sheet.numbers:
        return sheet
    import numpy as np

    def repeated(words: list[str]) -> Any:
        return np.repeat(np.array(words, object), sheet.rows)

    step, columns = sheet.numbers[names[0]], [sheet.numbers[name] for name in there]
    counter = Column(np.tile(step.values, len(there)), np.tile(step.logged, len(there)))
    value = Column(np.concatenate([column.values for column in columns]), np.concatenate([column.logged for column in columns]))
    words = {
        "run": repeated([name.rpartition(" - ")[0] for name in there]),
        "metric": repeated([name.rpartition(" - ")[2] for name in there]),
    }
    return Sheet({"step": counter, "value": value}, words, sheet.rows * len(there), lambda row: sheet.line(row % sheet.rows))
