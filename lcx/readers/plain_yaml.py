"""The part of YAML in which tools write settings: a name and a value on each line, nested by indentation, and lists of values."""

import re
from typing import Any

_ENTRY = re.compile(r"""( *)["']?([^\s"'#:!&*?|>%@`{}\[\],-][^"':]*?)["']?\s*:(?:\s+(.*))?$""")
_LONGEST = 1000  # characters of a line that are read; what is longer is no setting
_ITEM = re.compile(r" *-(?:\s+(.*))?$")


def entries(text: str) -> dict[str, str]:
    """Names and values, both as text; nested names are joined by "/", and lists of values are written "[1, 2]".

    Left out are texts of several lines and lists of something else than values. A tag alone, such as !!python/tuple, is passed over.
    """
    found: dict[str, Any] = {}
    above: list[tuple[int, str]] = []  # indentation and name of the entries around a line
    inside, name = -1, ""  # lines indented more than this belong to what was left out; the last name
    for whole in text.splitlines():
        line = whole[:_LONGEST]
        depth = len(line) - len(line.lstrip(" "))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if 0 <= inside < depth:
            if isinstance(found.get(name), str):  # a text that goes on
                del found[name]
            continue
        inside = -1
        if item := _ITEM.match(line):
            inside, value, listed = depth, _value(item[1] or ""), found.get(name, [])
            if above and depth >= above[-1][0] and not isinstance(listed, str):
                plain = value and value[0] not in "-|>" and not _ENTRY.match(value)
                found[name] = [*listed, value] if plain and listed is not None else None
        elif entry := _ENTRY.match(line):
            while above and above[-1][0] >= depth:
                above.pop()
            above.append((depth, entry[2]))
            name, value = "/".join(name for _, name in above), _value(entry[3] or "")
            found.pop(name, None)
            if value:
                inside = depth
                if value[0] not in "|>" and not _is_open(value):
                    found[name] = value[1:-1] if value[0] in "'\"" else value
    return {name: told if isinstance(told, str) else f"[{', '.join(told)}]" for name, told in found.items() if told is not None}


def _value(text: str) -> str:
    """What stands behind a name or a dash, without comment; empty for a tag or an anchor alone, whose value is on the lines below."""
    text = re.sub(r"(^|\s)#.*", "", text).strip()
    return "" if re.fullmatch(r"[!&]\S*", text) else text


def _is_open(value: str) -> bool:
    """Whether a quoted text or a list goes on in the next line."""
    ends = {"'": "'", '"': '"', "[": "]", "{": "}"}.get(value[0])
    return ends is not None and (len(value) == 1 or value[-1] != ends)
