"""Which unit-of-work class a project's streams get: the one it has, where that takes a factory, else the runtime's."""

from __future__ import annotations

from dataclasses import dataclass

from sessionlint.facts import shape as s
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import NeededImport
from sessionlint.fixes.program import Program
from sessionlint.fixes.signatures import name_of, written
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

UNIT = "uow"
SESSION = f"{UNIT}.session"
_RUNTIME, _RUNTIME_CLASS = "sessionlint.runtime", "SSEUnitOfWork"
_FACTORIES = frozenset({"async_sessionmaker", "sessionmaker", "Callable"})


@dataclass(frozen=True)
class UnitClass:
    """``cls`` is the project's own class, None for the runtime's. ``factory`` is the keyword its factory is passed by.

    ``named`` and ``labelled``: whether the class takes a name, and its ``commit`` a label. ``commits_at_exit``: a
    normal exit commits.
    """

    cls: sym.Class | None = None
    factory: str = ""
    named: bool = True
    labelled: bool = True
    commits_at_exit: bool = False

    @property
    def takes_sessions(self) -> bool:
        """Whether a unit can be put around a session that is there."""
        return self.cls is None

    def written(self, program: Program, document: Document, needed: list[NeededImport]) -> str:
        """How a file writes the class."""
        if self.cls is None:
            return written(document, _RUNTIME, _RUNTIME_CLASS, needed)
        return name_of(program, program.module(document.file), self.cls, needed)

    def opening(self, program: Program, document: Document, factory: str, name: str, needed: list[NeededImport]) -> str:
        """The call that makes a unit from a factory."""
        given = f"{self.factory}={factory}" if self.factory else factory
        label = f', name="{name}"' if self.named else ""
        return f"{self.written(program, document, needed)}({given}{label})"

    def commit(self, label: str) -> str:
        return f'{UNIT}.commit("{label}")' if self.labelled else f"{UNIT}.commit()"

    def release(self, label: str) -> str:
        """The call that ends a transaction in which nothing was written."""
        return f"{UNIT}.release()" if self.cls is None else self.commit(label)


def unit_class(program: Program) -> UnitClass:
    """The project's own class where exactly one is fit, and nothing uses the runtime's already."""
    table = program.analysis.table
    for module in table.modules.values():
        if any(b.module.startswith(_RUNTIME) and b.name == _RUNTIME_CLASS for b in module.facts.imports):
            return UnitClass()
    found = [own for cls in table.classes.values() if (own := _fit(program, cls)) is not None]
    return found[0] if len(found) == 1 else UnitClass()


def is_unit(program: Program, value: v.Value) -> bool:
    """Whether a value is certainly an object of some unit-of-work class."""
    options = v.options_of(value)
    engine = program.analysis.engine
    return bool(options) and all(isinstance(o, v.Instance) and engine.is_unit_class(o.cls) for o in options)


def _fit(program: Program, cls: sym.Class) -> UnitClass | None:
    """How a class can be used as the unit of a stream; None where it cannot."""
    analysis = program.analysis
    classes = analysis.infer.classes
    if cls.module.path not in program.sources or cls.module.is_test or cls.parent is not None or cls.facts.owner:
        return None
    init, enters, leaves, commit = (
        classes.method(cls, name) for name in ("__init__", "__aenter__", "__aexit__", "commit")
    )
    if init is None or enters is None or leaves is None or commit is None or not analysis.engine.is_unit_class(cls):
        return None
    if commit.is_abstract or leaves.is_abstract or not commit.facts.is_async:
        return None
    session = analysis.infer.attribute(v.Instance(cls), "session")
    if not isinstance(session, v.Session) or not session.is_async:
        return None
    ends = analysis.engine.unit_exit(cls)
    makes = _own_parameters(init)
    labels = _own_parameters(commit)
    required = [p for p in makes if p.default is None]
    if ends == "unknown" or len(required) != 1 or any(p.default is None for p in labels) or len(labels) > 1:
        return None
    if not _is_factory(program, init, required[0].name):
        return None
    by_keyword = required[0].kind == "keyword"
    named = any(p.name == "name" and p.kind != "positional" for p in makes)
    return UnitClass(cls, required[0].name if by_keyword else "", named, bool(labels), ends == "commit")


def _own_parameters(function: sym.Function) -> list[s.Parameter]:
    return [p for p in function.facts.parameters if p.name != function.receiver]


def _is_factory(program: Program, init: sym.Function, name: str) -> bool:
    value = program.analysis.infer.parameter(init, name)
    if any(isinstance(o, v.Factory) for o in v.options_of(value)):
        return True
    annotation = init.parameters[name].annotation
    while isinstance(annotation, s.Subscript):
        annotation = annotation.value
    return annotation is not None and (sym.last_name(annotation) or "") in _FACTORIES
