"""Small faults in a function: one operator, comparison, constant, argument or result changed."""

import ast
import copy
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_OTHER: dict[type, tuple[Any, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Add,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
# What is never changed: what is raised or asserted, texts, annotations, decorators, defaults.
_LEFT_ALONE = (ast.Raise, ast.Assert, ast.JoinedStr, ast.arguments)


class Change(NamedTuple):
    """A fault in a function: its file and qualified name, and the function before and after."""

    file: str
    function: str
    before: ast.FunctionDef
    after: ast.FunctionDef

    @property
    def lines(self) -> str:
        """What differs."""
        differ = difflib.ndiff(_lines(self.before), _lines(self.after))
        return "\n".join(f"{line[0]} {line[1:].strip()}" for line in differ if line[0] in "+-")


def changes(file: str, root: Path) -> list[Change]:
    """Every fault in the functions and methods of a file; those inside of them belong to the outermost one."""
    found = []
    for name, function in _functions(ast.parse((root / file).read_text()), ""):
        for place, number in [(place, n) for place, node in enumerate(_walk(function)) for n in range(len(_instead(node)))]:
            changed = copy.deepcopy(function)
            node = list(_walk(changed))[place]
            _put(changed, node, _instead(node)[number])
            found.append(Change(file, name, function, ast.fix_missing_locations(changed)))
    return found


def with_function(change: Change, root: Path) -> ast.Module:
    """The file's syntax tree with the changed function in the place of its own."""
    module = ast.parse((root / change.file).read_text())
    own = next(node for name, node in _functions(module, "") if name == change.function)
    _put(module, own, change.after)
    return module


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node


def _lines(function: ast.FunctionDef) -> list[str]:
    return [line for part in function.body for line in ast.unparse(part).splitlines()]


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that may be changed, in order."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, _LEFT_ALONE):
                yield child
                yield from _walk(child)


def _instead(node: ast.AST) -> Sequence[ast.AST]:
    """What may stand in the place of a node, in a fixed order."""
    if isinstance(node, ast.BinOp):
        return [ast.BinOp(node.left, other(), node.right) for other in _OTHER.get(type(node.op), ())]
    if isinstance(node, ast.AugAssign):
        return [ast.AugAssign(node.target, other(), node.value) for other in _OTHER.get(type(node.op), ())]
    if isinstance(node, ast.BoolOp):
        return [ast.BoolOp(other(), node.values) for other in _OTHER[type(node.op)]]
    if isinstance(node, ast.Compare):
        pairs = [(i, other()) for i, op in enumerate(node.ops) for other in _OTHER[type(op)]]
        return [ast.Compare(node.left, [*node.ops[:i], other, *node.ops[i + 1 :]], node.comparators) for i, other in pairs]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return [ast.Constant(not node.value)]
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return [ast.Constant(node.value + 1)]
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return [ast.Constant(2 * node.value if node.value else 1.0)]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.IfExp):
        return [ast.IfExp(node.test, node.orelse, node.body)]
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        return [ast.Return(ast.Constant(None))]
    if isinstance(node, ast.Call):
        given, named = node.args, node.keywords
        fewer = [ast.Call(node.func, given, named[:i] + named[i + 1 :]) for i in range(len(named))]
        plain = len(given) > 1 and not any(isinstance(x, ast.Starred) for x in given[-2:])
        return fewer + ([ast.Call(node.func, [*given[:-2], given[-1], given[-2]], named)] if plain else [])
    return []


def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(x is old for x in value):
                setattr(parent, name, [new if x is old else x for x in value])
