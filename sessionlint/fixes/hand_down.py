"""Hands a session down to a function or into a constructor: every caller passes the one it has, up to who may open one.

A worklist over callers. Each call site passes the session it has (a local, a parameter, ``self._db``), a route or
dependency asks the framework for it, a boundary opens and commits one around the call, and any other caller takes it
as a parameter in turn. One place that cannot be followed refuses the whole. Collects edits; changes nothing.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from sessionlint.facts import shape as s
from sessionlint.findings import Place, Step
from sessionlint.fixes import references, signatures
from sessionlint.fixes.around import headers, is_docstring, last_user, scope_name, statement_of
from sessionlint.fixes.decorators import in_the_way
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, NeededImport, Unwrap, Wrap
from sessionlint.fixes.leaving import fresh_name
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import dependency_for
from sessionlint.fixes.rewrite import insert_after, replace, stands_alone
from sessionlint.fixes.sessions import named_session
from sessionlint.fixes.sources import Refused, Source
from sessionlint.fixes.stand_ins import stand_ins
from sessionlint.fixes.told_before import told_after
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

_SCOPES = frozenset({"script", "command", "background", "lifespan", "task", "event", "test", "stream"})
_CACHING = frozenset({"lru_cache", "cache", "cached", "cached_property", "property", "memoize"})
_PLAIN_BASES = frozenset({"ABC", "Protocol", "Generic", "object"})


@dataclass
class Plan:
    """All that hands sessions of one source down. ``edits`` of all files, in no order."""

    program: Program
    source: Source
    edits: list[Edit] = field(default_factory=list)
    blocks: list[Unwrap | Wrap] = field(default_factory=list)
    imports: list[NeededImport] = field(default_factory=list)
    #: name of the session in functions that get it as a parameter, by key
    _inside: dict[str, str] = field(default_factory=dict)
    #: attribute of classes that get it in the constructor, by key
    attributes: dict[str, str] = field(default_factory=dict)
    _scoped: dict[tuple[str, int], str] = field(default_factory=dict)

    # ---- functions -------------------------------------------------------------------------------------------------

    def give(self, function: sym.Function) -> str:
        """Make a function take the session; its name there. All that overrides or calls it follows."""
        known = self._inside.get(function.key)
        if known is not None:
            return known
        self._may_change(function)
        family = references.family(self.program.analysis, function)
        for member in family:
            self._may_change(member)
        names = tuple(dict.fromkeys((self.source.name, *signatures.NAMES)))
        nodes = [self._node(member) for member in family]
        name = next((n for n in names if all(n == fresh_name(node, (n,)) for node in nodes)), None)
        own = self._node(function)
        if name is None or (function is self.source.function and fresh_name(own, (self.source.name,)) != name):
            name = self.source.name if function is self.source.function else fresh_name(own, names)
        uses = references.of_functions(self.program.analysis, family)
        self._visible(function, uses)
        for member in family:
            self._inside[member.key] = name
            self._add_parameter(member, name)
        for use in uses.calls:
            self._pass(use)
        for use in uses.partials:
            self._pass(use, partial=True)
        for member in family:
            self.edits.extend(stand_ins(self.program, member, name))
        return name

    def _add_parameter(self, member: sym.Function, name: str) -> None:
        document = self._document(member.module)
        text = f"{name}: {self._annotation(document)}"
        self.edits.append(signatures.add_first(document, self._node(member), text, method=member.receiver is not None))

    def _may_change(self, function: sym.Function) -> None:
        where = self._step(function, f"`{function.qualname}` is declared here")
        if function.name.startswith("__") and function.name != "__init__":
            raise Refused(f"Python itself calls `{function.qualname}`", where)
        if _CACHING & function.decorator_names:
            raise Refused(f"`{function.qualname}` is cached or a property, so it takes no session", where)
        why = in_the_way(self.program, function)
        if why:
            raise Refused(why, where)
        if function.owner is not None:
            outside = self.program.analysis.infer.classes.outside_bases(function.owner)
            foreign = [d for d in outside if d.rpartition(".")[2] not in _PLAIN_BASES]
            if foreign and function.name != "__init__":
                raise Refused(
                    f"`{function.qualname}` may be called by `{foreign[0]}`, which is not in the project", where
                )
        self._not_public(function.module, function.owner.name if function.owner else function.name, where)

    def _not_public(self, home: sym.Module, name: str, where: Step) -> None:
        """What the top package exports is used by others than this project."""
        table = self.program.analysis.table
        for module in table.modules.values():
            if module.is_package and "." not in module.dotted.removeprefix("src.") and module.facts.exports:
                if name in module.facts.exports:
                    found = table.lookup(module, name)
                    if getattr(found, "module", None) is home:
                        raise Refused(f"`{module.dotted}` exports `{name}`, so not every caller can be seen", where)

    def _visible(self, function: sym.Function, uses: references.References) -> None:
        """Every use must be a call that can be followed."""
        for use in uses.values:
            raise Refused("not every call can be seen", use.step(f"`{function.qualname}` is handed on here"))
        for use in uses.depends:
            raise Refused("a framework calls it", use.step(f"`{function.qualname}` is a dependency here"))
        for use in uses.doubts:
            raise Refused("not every call can be seen", use.step(f"this may be a call of `{function.qualname}`"))
        if not uses.calls and not uses.partials:
            raise Refused(
                "nobody in the project calls it, so its callers cannot be seen",
                self._step(function, f"`{function.qualname}` is declared here"),
            )

    # ---- classes ---------------------------------------------------------------------------------------------------

    def can_inject(self, cls: sym.Class) -> bool:
        """Whether a class may take the session in its constructor: every object of it is made for one piece of work."""
        analysis = self.program.analysis
        classes = analysis.infer.classes
        if {"dataclass", "define", "attrs", "frozen"} & cls.decorator_names or analysis.lifetimes.process_long(cls.key):
            return False
        if any(d.rpartition(".")[2] not in _PLAIN_BASES for d in classes.outside_bases(cls)):
            return False
        inherited = classes.method(cls, "__init__", skip=1)
        if inherited is not None or any("__init__" in sub.methods for sub in classes.subclasses(cls)):
            return False
        uses = self._constructions(cls)
        made = [u for u in uses.calls if not u.module.is_test]
        if uses.values or uses.partials or any(u.caller is None for u in made):
            return False
        return bool(made or uses.depends or self._is_class_dependency(cls))

    def inject(self, cls: sym.Class, *, store: bool) -> str:
        """Make a constructor take the session; how methods write it (``self._db``), or its name in the constructor."""
        init = cls.methods.get("__init__")
        if cls.key not in self.attributes:
            self.attributes[cls.key] = ""
            self._construct_with(cls, init)
        if store and not self.attributes[cls.key]:
            self.attributes[cls.key] = self._stored(cls, init)
        return self.attributes[cls.key]

    def _construct_with(self, cls: sym.Class, init: sym.Function | None) -> None:
        document = self._document(cls.module)
        uses = self._constructions(cls)
        for use in (*uses.values, *uses.partials):
            raise Refused("not every construction can be seen", use.step(f"`{cls.name}` is handed on here"))
        kind = self._annotation(document)
        name = self.source.name
        node = document.cls(cls.facts)
        if init is not None:
            where = self._node(init)
            name = fresh_name(where, tuple(dict.fromkeys((name, *signatures.NAMES))))
            self._inside[init.key] = name
            if uses.depends or self._is_class_dependency(cls):
                self._ask(init, name)
            else:
                self.edits.append(signatures.add_first(document, where, f"{name}: {kind}", method=True))
        else:
            text = f"{name}: {kind}"
            if uses.depends or self._is_class_dependency(cls):
                text += f" = {self._marker(cls.module)}"
            self._write_init(document, node, cls, name, text)
        for use in uses.calls:
            self._pass(use, made=True)

    def _constructions(self, cls: sym.Class) -> references.References:
        """The uses of a class and of those below it, which share its constructor."""
        analysis = self.program.analysis
        found = references.of_class(analysis, cls)
        for sub in analysis.infer.classes.subclasses(cls):
            more = references.of_class(analysis, sub)
            found.calls += more.calls
            found.depends += more.depends
            found.values += more.values
            found.partials += more.partials
        return found

    def _write_init(self, document: Document, node: ast.ClassDef, cls: sym.Class, name: str, text: str) -> None:
        """A constructor for a class that has none, in front of its first method."""
        attribute = self._attribute_name(cls, name)
        unit = document.unit
        space = document.indentation(node) + unit
        returns = " -> None" if any(m.facts.returns is not None for m in cls.methods.values()) else ""
        lines = f"{space}def __init__(self, {text}){returns}:\n{space}{unit}self.{attribute} = {name}\n\n"
        first = next((n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), node.body[0])
        at = document.line_start(document.line_of(document.start(first)))
        self.edits.append(Edit(document.file, at, at, lines))
        self.attributes[cls.key] = f"self.{attribute}"

    def _attribute_name(self, cls: sym.Class, name: str) -> str:
        taken = {*self.program.analysis.infer.classes.assigned(cls), *cls.methods, *cls.attributes}
        return next(n for n in (f"_{name}", "_db", "_session", "_db_session") if n not in taken)

    def _stored(self, cls: sym.Class, init: sym.Function | None) -> str:
        assert init is not None, "a class without a constructor got one that stores"
        document = self._document(cls.module)
        node = self._node(init)
        receiver, name = init.receiver or "self", self._inside[init.key]
        attribute = self._attribute_name(cls, name)
        line = f"{receiver}.{attribute} = {name}"
        body = node.body
        if len(body) == 1 and isinstance(body[0], ast.Pass):
            self.edits.append(replace(document, body[0], line))
        else:
            last = body[-1]
            anchor = body[0] if is_docstring(body[0]) and len(body) > 1 else None
            if anchor is not None or not stands_alone(document, last):
                last = anchor or last
            self.edits.append(insert_after(document, last, [line], document.indentation(body[0])))
        return f"self.{attribute}"

    def _is_class_dependency(self, cls: sym.Class) -> bool:
        init = cls.methods.get("__init__")
        return init is not None and init.key in self.program.analysis.entries.dependencies

    # ---- call sites ------------------------------------------------------------------------------------------------

    def _pass(self, use: references.Use, *, partial: bool = False, made: bool = False) -> None:
        """Give one call the session; ``made`` says that what it returns keeps the session."""
        document = self._document(use.module)
        assert use.call is not None
        call = self._call_node(document, use.call)
        text = self._supply(use, document, call, made=made or partial)
        if partial:
            end = document.end(call.args[0])
            self.edits.append(Edit(document.file, end, end, f", {text}"))
        else:
            self.edits.append(signatures.pass_first(document, call, text))

    def _call_node(self, document: Document, call: s.Call) -> ast.Call:
        found = document.spanning(call.loc, ast.Call)
        if found is None:
            raise Refused("a call cannot be found in its file", Step(Place(document.file, *call.loc), "here"))
        return found

    def _supply(self, use: references.Use, document: Document, call: ast.Call, *, made: bool = False) -> str:
        """The session as the place of a call can write it."""
        caller = use.caller
        if caller is None:
            raise Refused("it is called while a module is imported", use.step("here"))
        found = self._at_hand(caller, document, call)
        if found is not None:
            self._tells_nobody(caller, use)
            return found
        entries = self.program.analysis.entries
        kind = entries.boundary(caller)
        if entries.kind(caller) == "route" or caller.key in entries.dependencies:
            self._tells_nobody(caller, use)
            return self._asked(caller)
        if caller.parent is not None and kind == "route":
            return self._asked(_outermost(caller))
        if use.module.is_test:
            return self._around(caller, document, call, test=True, made=made)
        if kind in _SCOPES or self.program.analysis.is_script(caller) or caller.key in self.program.analysis.streamed:
            return self._around(caller, document, call, test=False, made=made)
        owner = caller.owner
        if owner is not None and caller.name == "__init__":
            if not self.can_inject(owner):
                raise Refused(
                    f"`{owner.name}` lives longer than a session, or is made where it cannot be seen",
                    use.step(f"`{owner.name}` makes one here"),
                )
            self.inject(owner, store=False)
            return self._inside[caller.key]
        if owner is not None and owner.key in self.attributes and self.attributes[owner.key]:
            return self.attributes[owner.key]
        self._tells_nobody(caller, use)
        if caller.parent is not None:
            return self.give(_outermost(caller))
        return self.give(caller)

    def _tells_nobody(self, caller: sym.Function, use: references.Use) -> None:
        """What follows the call followed its commit, and would not any more. Raises ``Refused``."""
        if not self.source.writes or use.module.is_test:
            return
        heard = told_after(self.program, caller, use.expr.loc)
        if heard is not None:
            where = Step(self.program.analysis.place(caller, heard), f"`{caller.qualname}` tells others here")
            raise Refused("somebody would hear of the rows before they are committed", where)

    def _at_hand(self, caller: sym.Function, document: Document, call: ast.Call) -> str | None:
        """A session the caller has at that place."""
        current: sym.Function | None = caller
        while current is not None:
            if current.key in self._inside:
                return self._inside[current.key]
            current = current.parent
        for around in document.ancestors(call):
            if isinstance(around, (ast.With, ast.AsyncWith)) and call not in headers(around):
                for item in around.items:
                    if isinstance(item.optional_vars, ast.Name):
                        held = named_session(self.program, caller, item.optional_vars.id)
                        if held is not None and held.is_async == self.source.is_async:
                            if (document.file, document.start(around)) not in self._opened_here:
                                return held.text
        for name in caller.parameters:
            held = named_session(self.program, caller, name)
            if held is not None and held.is_async == self.source.is_async and name != caller.receiver:
                return held.text
        hand = self.program.analysis.engine.session_at_hand(caller)
        if hand is not None and hand.path:
            return str(hand)
        return self._unit(caller)

    @property
    def _opened_here(self) -> set[tuple[str, int]]:
        return {(b.file, b.start) for b in self.blocks if isinstance(b, Unwrap)}

    def _unit(self, caller: sym.Function) -> str | None:
        """``uow.session`` of a unit of work that the caller was handed."""
        infer = self.program.analysis.infer
        for name in caller.parameters:
            value = infer.parameter(caller, name)
            if isinstance(value, v.Instance) and self.program.analysis.engine.is_unit_class(value.cls):
                if name == caller.receiver:
                    continue
                for attr in ("session", "db"):
                    if isinstance(infer.attribute(value, attr), v.Session):
                        return f"{name}.{attr}"
        return None

    # ---- framework and boundaries ----------------------------------------------------------------------------------

    def _asked(self, function: sym.Function) -> str:
        """A route or dependency asks the framework for the session."""
        known = self._inside.get(function.key)
        if known is not None:
            return known
        name = fresh_name(self._node(function), tuple(dict.fromkeys((self.source.name, *signatures.NAMES))))
        self._inside[function.key] = name
        self._ask(function, name)
        if function.key in self.program.analysis.entries.dependencies:
            uses = references.of_functions(self.program.analysis, [function])
            for use in uses.calls:
                self._pass_by_name(use, name)
        return name

    def _pass_by_name(self, use: references.Use, name: str) -> None:
        """A dependency that is also called by hand gets the session by keyword: its parameter stands last."""
        document = self._document(use.module)
        assert use.call is not None
        call = self._call_node(document, use.call)
        text = self._supply(use, document, call)
        self.edits.append(signatures.pass_keyword(document, call, name, text))

    def _ask(self, function: sym.Function, name: str) -> None:
        document = self._document(function.module)
        aliased = signatures.add_alias(self.program, function, self._provider(), name)
        if aliased is not None:
            self.edits.append(aliased)
            return
        text = f"{name}: {self._annotation(document)} = {self._marker(function.module)}"
        self.edits.append(signatures.add_last(document, self._node(function), text))

    def _provider(self) -> sym.Function:
        """The project's own dependency for the session."""
        provider = dependency_for(self.program, self.source.symbol, self.source.is_async)
        if isinstance(provider, str):
            raise Refused(provider, self._step(self.source.function, "the session is opened in this function"))
        return provider

    def _marker(self, module: sym.Module) -> str:
        """``Depends(get_db)`` as a file writes it."""
        provider = self._provider()
        document = self._document(module)
        depends = signatures.written(document, *signatures.depends_of(document), self.imports)
        return f"{depends}({signatures.name_of(self.program, module, provider, self.imports)})"

    def _around(self, caller: sym.Function, document: Document, call: ast.Call, *, test: bool, made: bool) -> str:
        """Open and commit a scope around the statement of a call."""
        stmt = statement_of(document, call)
        if stmt is None:
            raise Refused("the call stands where no block can be opened around it", Step(document.place(call), "here"))
        node = document.function_around(stmt)
        if self.source.is_async and not isinstance(node, ast.AsyncFunctionDef):
            raise Refused(
                "it is called from a function that is not `async`, which cannot open an asynchronous session",
                Step(document.place(call), "here"),
            )
        key = (document.file, document.start(stmt))
        if key in self._scoped:
            return self._scoped[key]
        opener = self._opener(caller, document, stmt, test)
        last = last_user(document, stmt, call) if made else stmt
        if last is None:
            raise Refused(
                "what is made here outlives every block that could be opened around it",
                Step(document.place(call), "here"),
            )
        joined = self._joined(document, stmt, opener) if last is stmt else ""
        if joined:
            self._scoped[key] = joined
            return joined
        name = scope_name(node or document.tree, tuple(dict.fromkeys((self.source.name, *signatures.NAMES))), stmt)
        self._scoped[key] = name
        scope = self._scope(document, last, opener, name)
        self.blocks.append(scope._replace(first=document.start(stmt), last=document.start(last)))
        return name

    def _joined(self, document: Document, stmt: ast.stmt, opener: str) -> str:
        """The scope right in front of a statement, where it takes the statement in: they are one piece of work."""
        block = document.block(stmt)
        at = block.index(stmt)
        before = block[at - 1] if at else None
        if not isinstance(before, (ast.With, ast.AsyncWith)) or len(before.items) != 1 or hasattr(stmt, "body"):
            return ""
        item = before.items[0]
        if document.code(item.context_expr) != f"{opener}()" or not isinstance(item.optional_vars, ast.Name):
            return ""
        if isinstance(before.body[-1], (ast.Return, ast.Raise)) or isinstance(stmt, ast.Return):
            return ""
        name = item.optional_vars.id
        start = document.start(stmt)
        commit = f"{'await ' if self.source.is_async else ''}{name}.commit()" if self.source.writes else ""
        self.blocks.append(Wrap(document.file, start, start, "", commit))
        return name

    def _opener(self, caller: sym.Function, document: Document, stmt: ast.stmt, test: bool) -> str:
        """How the place writes what opens a session; a test's own stand-in where it patches the original."""
        if test:
            patched = self._patched(document, stmt)
            if patched:
                return patched
        symbol = self.source.symbol
        if not isinstance(symbol, (sym.Global, sym.Function)):
            raise Refused("what opens the session has no name outside its function", self._step(caller, "wanted here"))
        return signatures.name_of(self.program, caller.module, symbol, self.imports)

    def _patched(self, document: Document, stmt: ast.stmt) -> str:
        """The stand-in that an enclosing ``with patch("module.maker", stand_in)`` puts in place of the factory."""
        target = f"{self.source.function.module.dotted}.{ast.unparse(self.source.opener)}"
        for around in document.ancestors(stmt):
            if isinstance(around, (ast.With, ast.AsyncWith)):
                for item in around.items:
                    call = item.context_expr
                    if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
                        where = call.args[0].value
                        if isinstance(where, str) and (where == target or target.endswith(f".{where}")):
                            if len(call.args) > 1:
                                return document.code(call.args[1])
                            if isinstance(item.optional_vars, ast.Name):
                                return item.optional_vars.id
        return ""

    def _scope(self, document: Document, stmt: ast.stmt, opener: str, name: str) -> Wrap:
        word = "async with" if self.source.is_async else "with"
        commit = f"{'await ' if self.source.is_async else ''}{name}.commit()" if self.source.writes else ""
        if self.source.is_provider:
            maker = signatures.written(
                document, "contextlib", f"{'async' if self.source.is_async else ''}contextmanager", self.imports
            )
            opened = f"{maker}({opener})()"
            assert isinstance(self.source.symbol, sym.Function)
            if self.program.analysis.provider_policy(self.source.symbol) == "commit":
                commit = ""
        else:
            opened = f"{opener}()"
            if commit and (isinstance(stmt, ast.Return) or hasattr(stmt, "body")):
                opened, commit = f"{opener}.begin()", ""
        start = document.start(stmt)
        return Wrap(document.file, start, start, f"{word} {opened} as {name}:", commit)

    # ---- pieces ----------------------------------------------------------------------------------------------------

    def _document(self, module: sym.Module) -> Document:
        return self.program.document(module.path)

    def _node(self, function: sym.Function) -> ast.FunctionDef | ast.AsyncFunctionDef:
        return self._document(function.module).function(function.facts)

    def _annotation(self, document: Document) -> str:
        kind = signatures.session_class(self.program, self.program.module(document.file), self.source.is_async)
        return signatures.written(document, *kind, self.imports)

    def _step(self, function: sym.Function, text: str) -> Step:
        return Step(self.program.analysis.place(function, function.facts.loc), text)


def _outermost(function: sym.Function) -> sym.Function:
    while function.parent is not None:
        function = function.parent
    return function
