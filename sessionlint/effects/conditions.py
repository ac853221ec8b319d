"""Conditions along a path: what a test says about names, and whether it can be true at all here.

Facts are kept by the dotted text of what was tested: ``none``, ``true``, ``false``, ``falsy`` (false or None) or
``value`` (not None). Assigning to a name forgets what was known of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.state import State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame


def forget(state: State, name: str) -> None:
    """Drop what is known of a name that is assigned to, and of its attributes."""
    if not name:
        return
    prefix = name + "."
    for key in [k for k in state.facts if k == name or k.startswith((prefix, name + "["))]:
        del state.facts[key]
    for key in [k for k in state.env if k.startswith(prefix)]:
        del state.env[key]
    state.tied.pop(name, None)


def place_text(expr: s.Expr) -> str:
    """The key facts are kept under: a dotted name, or one with a constant subscript (``results["moved"]``)."""
    if isinstance(expr, s.Subscript) and isinstance(expr.index, s.Constant):
        base = sym.dotted_text(expr.value)
        return f"{base}[{expr.index.value!r}]" if base else ""
    return sym.dotted_text(expr)


def note_growth(state: State, target: s.Expr) -> None:
    """``count += 1``, ``found.append(x)``: what was empty is not any more."""
    text = place_text(target)
    if text:
        state.facts[text] = "true"


def _measured(expr: s.Expr) -> s.Expr:
    """What a length or truth is asked of: ``len(xs)`` and ``bool(xs)`` are as true as ``xs``."""
    if isinstance(expr, s.Call) and isinstance(expr.func, s.Name) and expr.func.id in {"len", "bool", "any"}:
        if len(expr.args) == 1:
            return _measured(expr.args[0])
    return expr


def note_result(state: State, name: str, expr: s.Expr, found: v.Value) -> None:
    """Remember the truth of a value just assigned to ``name``, and of its parts."""
    inner = expr.value if isinstance(expr, s.Await) else expr
    if isinstance(inner, s.Choice) and inner.kind == "if" and inner.test is not None:
        answer = truth(inner.test, state)
        if answer is not None:
            note_result(state, name, inner.options[0 if answer else 1], v.UNKNOWN)
            return
    known = state.results.get((id(inner), ""))
    measured = _measured(inner)
    if measured is not inner:
        known = state.facts.get(place_text(measured), known)
    if known in _KNOWN:
        state.facts[name] = known
    elif isinstance(inner, s.Constant):
        state.facts[name] = _truth_of_constant(inner.value)
    elif isinstance(found, v.Literal):
        state.facts[name] = _truth_of_constant(found.value)
    elif isinstance(inner, s.Collection) and not inner.items:
        state.facts[name] = "false"
    for part, fact in parts_of(inner, found, state).items():
        state.facts[name + part] = fact


def parts_of(expr: s.Expr, found: v.Value, state: State) -> dict[str, str]:
    """What is known of the items and attributes of a value: ``[1]`` of a tuple, ``.created`` of a new object."""
    inner = expr.value if isinstance(expr, s.Await) else expr
    text = place_text(inner)
    if text:
        return {k[len(text) :]: x for k, x in state.facts.items() if k.startswith((f"{text}.", f"{text}["))}
    parts: dict[str, s.Expr] = {}
    if isinstance(inner, s.Collection) and inner.kind == "tuple":
        parts = {f"[{index}]": item for index, item in enumerate(inner.items)}
    elif isinstance(inner, s.Collection) and inner.kind == "dict":
        keyed = zip(inner.keys, inner.items, strict=False)
        parts = {f"[{key.value!r}]": item for key, item in keyed if isinstance(key, s.Constant)}
    elif isinstance(inner, s.Call):
        returned = {part: fact for (call, part), fact in state.results.items() if call == id(inner) and part}
        if returned:
            return returned
        if isinstance(found, (v.Instance, v.Entity)):
            parts = {f".{k.name}": k.value for k in inner.keywords if k.name}
    facts = {part: _fact_of(item, state) for part, item in parts.items()}
    return {part: fact for part, fact in facts.items() if fact}


def note_parts(state: State, name: str, parts: dict[str, str], index: int) -> None:
    """Unpacking: what is known of item ``index`` is known of ``name``."""
    head = f"[{index}]"
    for part, fact in parts.items():
        if part.startswith(head):
            state.facts[name + part[len(head) :]] = fact


def _fact_of(expr: s.Expr, state: State) -> str:
    """What is known of an expression's value; empty where nothing is."""
    if isinstance(expr, s.Constant):
        return _truth_of_constant(expr.value)
    known = state.facts.get(place_text(expr))
    if known is not None:
        return known
    answer = truth(expr, state)
    return "" if answer is None else ("true" if answer else "falsy")


def _truth_of_constant(value: object) -> str:
    return "none" if value is None else ("true" if value else "false")


_KNOWN = frozenset({"true", "false", "none", "value", "falsy"})


def contradict(known: str | None, asked: str) -> bool:
    """Whether two facts cannot both be true of one value."""
    if known is None or known == asked:
        return False
    return {known, asked} in _CONTRADICTIONS


_CONTRADICTIONS: tuple[set[str], ...] = (
    {"true", "falsy"},
    {"true", "false"},
    {"true", "none"},
    {"value", "none"},
    {"false", "none"},
)


def learn(state: State, text: str, fact: str) -> None:
    """Add a fact about a place where it says more than what is known."""
    if state.facts.get(text) in {None, "falsy", "value"} and fact in _KNOWN:
        state.facts[text] = fact


def truth(test: s.Expr, state: State) -> bool | None:
    """Whether a test is certainly true or false on this path."""
    if isinstance(test, s.Constant):
        return bool(test.value) if not isinstance(test.value, bytes) else None
    if isinstance(test, s.Not):
        inner = truth(test.value, state)
        return None if inner is None else not inner
    test = _measured(test)
    if isinstance(test, (s.Name, s.Attribute, s.Subscript)):
        known = state.facts.get(place_text(test))
        if known in {"none", "false", "falsy"}:
            return False
        return True if known == "true" else None
    if isinstance(test, (s.Call, s.Await)):
        inner_call = test.value if isinstance(test, s.Await) else test
        known = state.results.get((id(inner_call), ""))
        if known in {"none", "false"}:
            return False
        return True if known == "true" else None
    if isinstance(test, s.Assigned):
        return truth(test.target, state)
    if isinstance(test, s.Compare) and len(test.ops) == 1:
        return _compared(test, state)
    if isinstance(test, s.Choice) and test.kind in {"and", "or"}:
        parts = [truth(o, state) for o in test.options]
        if test.kind == "and":
            return False if False in parts else (True if all(p is True for p in parts) else None)
        return True if True in parts else (False if all(p is False for p in parts) else None)
    return None


def _compared(test: s.Compare, state: State) -> bool | None:
    right = test.rights[0]
    if not isinstance(right, s.Constant):
        return None
    op = test.ops[0]
    subject = _measured(test.left.target if isinstance(test.left, s.Assigned) else test.left)
    known = state.facts.get(place_text(subject))
    if right.value is None and op in {"is", "is not", "==", "!="}:
        if known is None or known == "falsy":
            return None
        answer = known == "none"
        return answer if op in {"is", "=="} else not answer
    if isinstance(right.value, bool) and op in {"is", "==", "is not", "!="} and known in {"true", "false"}:
        answer = (known == "true") == right.value
        return answer if op in {"is", "=="} else not answer
    nonzero = _asks_nonzero(op, right.value)
    if nonzero is not None and known in {"true", "false", "falsy", "none"}:
        return (known == "true") == nonzero
    return None


def _asks_nonzero(op: str, value: object) -> bool | None:
    """Whether ``x OP value`` asks for something (``> 0``, ``>= 1``, ``!= 0``) or for nothing (``== 0``, ``< 1``)."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if (op, value) in {(">", 0), (">=", 1), ("!=", 0)}:
        return True
    return False if (op, value) in {("==", 0), ("<", 1), ("<=", 0)} else None


def assume(frame: Frame, test: s.Expr, state: State, wanted: bool) -> State | None:
    """The path on which ``test`` came out as ``wanted``, or None where that cannot be."""
    known = truth(test, state)
    if known is not None and known != wanted:
        return None
    _learn(test, state, wanted)
    _untie(test, state, wanted)
    _narrow(frame, test, state, wanted)
    return state


def _learn(test: s.Expr, state: State, wanted: bool) -> None:
    test = _measured(test)
    if isinstance(test, s.Not):
        _learn(test.value, state, not wanted)
    elif isinstance(test, (s.Name, s.Attribute, s.Subscript)):
        text = place_text(test)
        if text and state.facts.get(text) not in {"none", "false"}:
            state.facts[text] = "true" if wanted else "falsy"
    elif isinstance(test, s.Assigned):
        _learn(test.target, state, wanted)
    elif isinstance(test, s.Compare) and len(test.ops) == 1 and isinstance(test.rights[0], s.Constant):
        _learn_compared(test, test.rights[0], state, wanted)
    elif isinstance(test, s.Choice) and ((test.kind == "and" and wanted) or (test.kind == "or" and not wanted)):
        for option in test.options:
            _learn(option, state, wanted)


def _learn_compared(test: s.Compare, right: s.Constant, state: State, wanted: bool) -> None:
    subject = _measured(test.left.target if isinstance(test.left, s.Assigned) else test.left)
    text = place_text(subject)
    if not text:
        return
    nonzero = _asks_nonzero(test.ops[0], right.value)
    if nonzero is not None:
        state.facts[text] = "true" if nonzero == wanted else "falsy"
    elif right.value is None:
        if wanted == (test.ops[0] in {"is", "=="}):
            state.facts[text] = "none"
        elif state.facts.get(text) not in {"true", "false"}:
            state.facts[text] = "value"


def root_name(expr: s.Expr) -> str:
    """The name an expression starts from: ``result`` of ``result.scalars().first()``, of ``bool(result.rowcount)``."""
    while True:
        if isinstance(expr, s.Name):
            return expr.id
        if isinstance(expr, (s.Attribute, s.Await, s.Subscript)):
            expr = expr.value
        elif isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute):
            expr = expr.func.value
        elif isinstance(expr, s.Call) and expr.args and sym.last_name(expr.func) in _TRANSPARENT:
            expr = expr.args[-1] if sym.last_name(expr.func) == "cast" else expr.args[0]
        else:
            return ""


_TRANSPARENT = frozenset({"bool", "int", "len", "list", "cast", "getattr", "any"})


def _untie(test: s.Expr, state: State, wanted: bool) -> None:
    """``result.first() is None``, ``not result.rowcount``: the statement changed no row, so nothing is pending."""
    if not state.tied:
        return
    if isinstance(test, s.Not):
        _untie(test.value, state, not wanted)
        return
    subject: s.Expr = test
    empty = not wanted
    if isinstance(test, s.Compare) and len(test.ops) == 1 and isinstance(test.rights[0], s.Constant):
        subject = test.left.value if isinstance(test.left, s.Assigned) else test.left
        if test.rights[0].value is None and test.ops[0] in {"is", "is not", "==", "!="}:
            empty = wanted == (test.ops[0] in {"is", "=="})
        else:
            nonzero = _asks_nonzero(test.ops[0], test.rights[0].value)
            if nonzero is None:
                return
            empty = wanted != nonzero
    elif not isinstance(test, (s.Name, s.Attribute, s.Call, s.Await)):
        return
    keys = state.tied.get(root_name(subject))
    if empty and keys:
        state.drop(keys)


def _narrow(frame: Frame, test: s.Expr, state: State, wanted: bool) -> None:
    """``isinstance(x, C)``: on the true path x is a C."""
    if not (wanted and isinstance(test, s.Call) and sym.last_name(test.func) == "isinstance" and len(test.args) == 2):
        return
    subject = test.args[0]
    if isinstance(subject, s.Name) and isinstance(state.env.get(subject.id, v.UNKNOWN), v.Unknown):
        typed = frame.infer.annotations.value(test.args[1], frame.function.module, frame.function)
        if isinstance(typed, (v.Session, v.Instance, v.Entity)):
            state.env[subject.id] = v.reroot(typed, v.Origin("param", subject.id))


class Given(NamedTuple):
    """What a callee is given: values by parameter, what this path knows of the variables among them, and which of
    them are optional parameters of ours that nobody has asked for yet."""

    binding: Mapping[str, v.Value]
    known: Mapping[str, str]
    optional: frozenset[str]


def possible(guards: tuple[tuple[str, str], ...], given: Given) -> bool:
    """Whether a callee's path can be taken with these arguments."""
    for name, fact in guards:
        if contradict(given.known.get(name), fact):
            return False
        value = given.binding.get(name)
        if isinstance(value, v.Literal):
            truthy = bool(value.value)
            if (fact == "true" and not truthy) or (fact in {"none", "false", "falsy"} and truthy):
                return False
            if fact == "value" and value.value is None:
                return False
        elif isinstance(value, (v.Session, v.Instance)) and name not in given.optional:
            if fact in {"none", "falsy", "false"} and given.known.get(name) not in {"none", "falsy", "false"}:
                return False
    return True
