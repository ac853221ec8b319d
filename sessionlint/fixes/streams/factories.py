"""Which factory makes the sessions of a stream, and whether a unit of work may make them instead."""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.findings import Place, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import NeededImport
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import identity, symbol_of
from sessionlint.fixes.signatures import module_path, name_of, written
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

_ENDS = frozenset({"commit", "rollback", "close"})


def factory_of(program: Program, provider: sym.Function) -> sym.Global:
    """The module-level factory behind a dependency. Raises ``Refused``."""
    analysis = program.analysis
    found: dict[tuple[str, str] | None, sym.Global] = {}
    for expr in provider.expressions:
        if isinstance(expr, (s.Name, s.Attribute)):
            symbol = symbol_of(program, provider.module, expr)
            if isinstance(symbol, sym.Function) and symbol.key in analysis.providers and symbol is not provider:
                symbol = factory_of(program, symbol)
            if isinstance(symbol, sym.Global) and is_factory(program, symbol):
                found[identity(symbol)] = symbol
    where = Step(analysis.place(provider, provider.facts.loc), f"`{provider.qualname}` provides the session")
    if len(found) != 1:
        raise Refused("there is no single session factory behind the dependency that a unit of work could use", where)
    _not_replaced(program, provider)
    _only_opens(program, provider)
    factory = next(iter(found.values()))
    is_late(factory)
    return factory


def is_factory(program: Program, symbol: sym.Global) -> bool:
    """Whether a module-level name holds a factory of async sessions."""
    value = program.analysis.infer.name(symbol.name, Scope(symbol.module, None))
    made = [o for o in v.options_of(value) if isinstance(o, v.Factory)]
    return bool(made) and all(o.is_async and not o.scoped and not o.autocommit for o in made)


def is_late(factory: sym.Global) -> bool:
    """Whether the name is None until a function sets it, so that it must be looked up when the stream runs.

    Raises ``Refused`` for a name that is set in more than one way.
    """
    every = factory.module.assigned.get(factory.name, [])
    values = [(e, f) for e, f in every if sym.declared_annotation(e) is None]
    made = [(e, f) for e, f in values if not (isinstance(e, s.Constant) and e.value is None)]
    if len(made) == 1:
        return len(values) > 1 or made[0][1] is not None
    places = [Step(Place(factory.module.path, *e.loc), "it is set here") for e, _ in made[:4]]
    raise Refused(f"`{factory.name}` is set more than once, so it is not certain which factory it is", *places)


def factory_text(program: Program, document: Document, factory: sym.Global, needed: list[NeededImport]) -> str:
    """How a file writes the factory; through its module, where the name is still None when it could be imported."""
    importer = program.module(document.file)
    if factory.module is importer or not is_late(factory):
        return name_of(program, importer, factory, needed)
    package, _, module = module_path(program, importer, factory.module).rpartition(".")
    if not package:
        raise Refused(f"`{factory.name}` is set later, and its module cannot be imported by name here")
    return f"{written(document, package, module, needed)}.{factory.name}"


def keeps_objects(factory: sym.Global) -> bool:
    """Whether objects stay loaded over a commit (``expire_on_commit=False``)."""
    for expr, _ in factory.module.assigned.get(factory.name, []):
        for keyword in expr.keywords if isinstance(expr, s.Call) else ():
            if keyword.name == "expire_on_commit":
                return isinstance(keyword.value, s.Constant) and keyword.value.value is False
    return False


def _not_replaced(program: Program, provider: sym.Function) -> None:
    """A dependency that tests replace would be gone past. Raises ``Refused``."""
    for module in program.analysis.table.modules.values():
        if {"dependency_overrides", provider.name} <= module.facts.names:
            place = Place(module.path, 1, 1, 1, 1)
            raise Refused(
                f"`{provider.name}` is replaced through `dependency_overrides`, which a unit of work would go past",
                Step(place, "this file replaces dependencies"),
            )


def _only_opens(program: Program, provider: sym.Function) -> None:
    """A dependency that prepares its sessions would be gone past, and the preparation with it. Raises ``Refused``."""
    scope = Scope(provider.module, provider)
    infer = program.analysis.infer

    def is_session(expr: s.Expr) -> bool:
        return any(isinstance(o, v.Session) for o in v.options_of(infer.expr(expr, scope)))

    for call in provider.calls:
        given = [*call.args, *(k.value for k in call.keywords)]
        method = call.func.attr if isinstance(call.func, s.Attribute) and is_session(call.func.value) else ""
        makes = any(isinstance(o, v.Factory) for o in v.options_of(infer.expr(call.func, scope)))
        if (method and method not in _ENDS) or (makes and given) or any(is_session(one) for one in given):
            raise Refused(
                f"`{provider.qualname}` does more with its session than open and end it",
                Step(program.analysis.place(provider, call.loc), "a unit of work would not do this"),
            )
