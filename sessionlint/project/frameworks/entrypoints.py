"""Where the outside calls in: routes, tasks, commands, listeners, scripts, lifespans, tests, background work.

A boundary may open, commit and close a session of its own; what is below one is handed a session. Found by what
registers a function (a decorator of an outside object, a main guard, a framework argument), never by its name alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import known
from sessionlint.project.infer import Inference, Scope

_ROUTES = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "trace", "api_route", "route", "websocket",
     "websocket_route"}
)  # fmt: skip
_TASKS = frozenset({"task", "shared_task", "actor", "job", "cron", "periodic_task", "flow", "scheduled_job", "timer"})
_COMMANDS = frozenset({"command", "group", "callback", "cli"})
_LIFE = frozenset({"on_event", "lifespan", "on_startup", "on_shutdown", "listens_for"})
#: methods that take a function to call it later: event buses, routers, schedulers, hooks
_REGISTERING = re.compile(
    r"(register|subscribe|add_|on_|schedule|connect|listen|set_\w*(handler|callback|hook)|hook|bind|actor|attach)"
)
#: decorators that change nothing about who calls a function
_NEUTRAL = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "abstractmethod", "override", "overload", "wraps",
     "lru_cache", "cache", "contextmanager", "asynccontextmanager", "final", "no_type_check", "deprecated", "retry",
     "validator", "field_validator", "model_validator", "root_validator", "computed_field", "field_serializer",
     "model_serializer", "hybrid_property", "hybrid_method", "expression", "setter", "getter", "deleter", "comparator",
     "declared_attr", "singledispatch", "register", "total_ordering", "dataclass", "validates", "compiles", "cached",
     "backoff", "on_exception", "observe", "trace", "start_as_current_span", "instrument", "timed", "inject", "time",
     "provide", "typechecked", "beartype", "runtime_checkable", "inplace", "update_expression", "limit", "count"}
)  # fmt: skip
_PLAIN = _TASKS | _COMMANDS | frozenset(
    {"mutation", "query", "subscription", "field", "event_handler", "listener", "subscriber", "subscribe", "websocket",
     "get", "post", "put", "patch", "delete", "handler", "hook", "fixture", "step"}
)  # fmt: skip


class EntryPoints:
    """Entry points and dependency functions of one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        #: function key -> route, task, command, event, script, background, lifespan, test
        self.kinds: dict[str, str] = {}
        #: keys of functions some framework calls to provide a value
        self.dependencies: set[str] = set()
        #: name in messages: "POST /path" or the function's own
        self.names: dict[str, str] = {}
        self._runners = frozenset(f.name for f in infer.table.all_functions() if _runs_its_argument(f))
        for module in infer.table.modules.values():
            self._module(module)

    def kind(self, function: sym.Function | None) -> str:
        """The kind of boundary a function is, empty for none."""
        return self.kinds.get(function.key, "") if function is not None else ""

    def boundary(self, function: sym.Function) -> str:
        """The kind of boundary a function is or is nested in."""
        current: sym.Function | None = function
        while current is not None:
            kind = self.kind(current)
            if kind:
                return kind
            current = current.parent
        return ""

    # ---- collection ------------------------------------------------------------------------------------------------

    def _module(self, module: sym.Module) -> None:
        for function in module.functions.values():
            kind, name = self._decorated(function)
            if not kind and [p.name for p in function.facts.parameters][-3:] == ["scope", "receive", "send"]:
                kind = "route"  # an ASGI application
            if module.is_test and (function.name.startswith("test") or "fixture" in function.decorator_names):
                kind = "test"
            if kind:
                self.kinds.setdefault(function.key, kind)
                self.names.setdefault(function.key, name or function.qualname)
            self._parameters(function)
            if function.owner is not None:
                self._method(function)
        self._guard(module)
        self._named_by_classes(module)
        self._registrations(module, None, module.facts.body)
        for function in module.functions.values():
            self._registrations(module, function, function.facts.body)

    def _decorated(self, function: sym.Function) -> tuple[str, str]:
        scope = Scope(function.module, function.parent)
        for decorator in function.facts.decorators:
            call = decorator if isinstance(decorator, s.Call) else None
            target = call.func if call is not None else decorator
            last = sym.last_name(target) or ""
            outside = self._infer.expr(target, scope)
            if isinstance(outside, (v.External, v.ExternalObject)):
                if known.provides(outside.dotted):
                    self.dependencies.add(function.key)
                kind = known.decorator_kind(outside.dotted)
                if kind:
                    return (kind, function.qualname) if kind != "route" else self._kind_of(last, call, function)
            if last in _NEUTRAL:
                continue
            if isinstance(target, s.Attribute):
                value = self._infer.expr(target.value, scope)
                if isinstance(value, v.FunctionRef) and last in _COMMANDS and self.kind(value.function) == "command":
                    return "command", function.qualname  # a command of a group that is itself a function
                if not isinstance(value, (v.ExternalObject, v.External, v.Unknown, v.Instance)):
                    continue
                if isinstance(value, v.Unknown) and last not in _ROUTES | _TASKS | _COMMANDS | _LIFE | _PLAIN:
                    continue
                if isinstance(value, v.Instance) and self._infer.classes.method(value.cls, last) is not None:
                    if last not in _ROUTES | _TASKS | _PLAIN:
                        continue
                return self._kind_of(last, call, function)
            value = self._infer.expr(target, scope)
            if isinstance(value, v.External) and last in _PLAIN:
                return self._kind_of(last, call, function)
            if isinstance(value, v.FunctionRef) and last in _TASKS:
                return self._kind_of(last, call, function)
        return "", ""

    def _kind_of(self, last: str, call: s.Call | None, function: sym.Function) -> tuple[str, str]:
        if last in _ROUTES | {"asgi", "view", "websocket_listener", "websocket_stream"}:
            path = ""
            if call is not None and call.args and isinstance(call.args[0], s.Constant):
                path = f" {call.args[0].value!s}"
            return "route", f"{last.upper()}{path}"
        if last in _TASKS:
            return "task", function.qualname
        if last in _COMMANDS:
            return "command", function.qualname
        if last in _LIFE:
            return "lifespan", function.qualname
        if last == "fixture":
            return "test", function.qualname
        return "event", function.qualname

    def _parameters(self, function: sym.Function) -> None:
        """``Depends(f)`` in a signature makes f a dependency."""
        for parameter in function.facts.parameters:
            if parameter.default is None and parameter.annotation is None:
                continue
            dependency = self._infer.dependency(function, parameter)
            if dependency is not None and dependency.target is not None:
                self._depend(dependency.target)

    def _depend(self, target: v.Value) -> None:
        if isinstance(target, v.FunctionRef):
            self.dependencies.add(target.function.key)
        elif isinstance(target, v.ClassRef):
            init = self._infer.classes.method(target.cls, "__init__")
            if init is not None:
                self.dependencies.add(init.key)
        elif isinstance(target, v.Instance):
            call = self._infer.classes.method(target.cls, "__call__")
            if call is not None:
                self.dependencies.add(call.key)

    def _method(self, function: sym.Function) -> None:
        """Methods a framework base class calls: ``dispatch`` of a middleware, ``get``/``post`` of a view."""
        assert function.owner is not None
        kind = known.method_kind(self._infer.classes.outside_bases(function.owner), function.name)
        if kind:
            self.kinds[function.key] = kind
            return
        outside = {d.rpartition(".")[2] for d in self._infer.classes.outside_bases(function.owner)}
        if function.name in {"dispatch", "__call__"} and any("Middleware" in n for n in outside):
            self.kinds.setdefault(function.key, "event")
        elif function.name in {"get", "post", "put", "patch", "delete"} and outside & {
            "HTTPEndpoint", "MethodView", "Resource", "Controller", "View",
        }:  # fmt: skip
            self.kinds.setdefault(function.key, "route")

    def _guard(self, module: sym.Module) -> None:
        """What ``if __name__ == "__main__"`` calls is a script's main function."""
        for stmt in module.facts.body:
            if isinstance(stmt, s.If) and _is_main_guard(stmt.test):
                for call in sym.calls(stmt.body):
                    self._mark_called(module, call, "script")

    def _mark_called(self, module: sym.Module, call: s.Call, kind: str) -> None:
        for expr in (call.func, *call.args):
            inner = expr.func if isinstance(expr, s.Call) else expr
            if isinstance(inner, (s.Name, s.Attribute)):
                value = self._infer.expr(inner, Scope(module, None))
                if isinstance(value, v.FunctionRef):
                    self.kinds.setdefault(value.function.key, kind)
                    self.names.setdefault(value.function.key, value.function.qualname)

    def _registrations(self, module: sym.Module, function: sym.Function | None, body: Iterable[s.Stmt]) -> None:
        """Functions handed to something that will call them: lifespans, schedulers, threads, tasks, ``Depends``."""
        for call in function.calls if function is not None else sym.calls(body):
            last = sym.last_name(call.func) or ""
            if last in {"Depends", "Security", "Provide"} and call.args:
                self._depend(self._infer.expr(call.args[0], Scope(module, function)))
            if last in known.CALLS:
                self._known_call(call, module, function)
            for keyword in call.keywords:
                if keyword.name in {"lifespan", "on_startup", "on_shutdown"}:
                    parts = keyword.value.items if isinstance(keyword.value, s.Collection) else (keyword.value,)
                    for part in parts:
                        self._mark(part, module, function, "lifespan")
                elif keyword.name == "target" and last in {"Thread", "Process"}:
                    self._mark(keyword.value, module, function, "background")
            if last in {"create_task", "ensure_future", "run_coroutine_threadsafe", "start_soon", "run_until_complete"}:
                for argument in call.args[:1]:
                    self._mark(
                        argument.func if isinstance(argument, s.Call) else argument, module, function, "background"
                    )
            elif last in {"add_task", "add_job", "add_event_handler", "add_api_route", "add_route", "add_handler",
                          "call_later", "call_soon", "register_command"}:  # fmt: skip
                kind = "background" if last in {"add_task", "add_job", "call_later", "call_soon"} else "event"
                for argument in call.args[:2]:
                    self._mark(argument, module, function, kind)
            elif last in self._runners:
                for argument in call.args[:1]:
                    self._mark(
                        argument.func if isinstance(argument, s.Call) else argument, module, function, "background"
                    )
            elif _REGISTERING.match(last) and not _is_plain_call(call):
                for argument in (*call.args, *(k.value for k in call.keywords)):
                    self._mark(argument, module, function, "event")
            elif last == "run" and sym.dotted_text(call.func) in {"asyncio.run", "anyio.run", "trio.run", "uvloop.run"}:
                for argument in call.args[:1]:
                    self._mark(argument.func if isinstance(argument, s.Call) else argument, module, function, "script")

    def _known_call(self, call: s.Call, module: sym.Module, function: sym.Function | None) -> None:
        """A call of a framework that is given functions to call."""
        value = self._infer.expr(call.func, Scope(module, function))
        if not isinstance(value, (v.External, v.ExternalObject)):
            return
        for argument, kind in known.call_arguments(value.dotted):
            if isinstance(argument, int):
                given = [call.args[argument]] if argument < len(call.args) else []
            else:
                given = [k.value for k in call.keywords if k.name == argument]
            for expr in given:
                for part in expr.items if isinstance(expr, s.Collection) else (expr,):
                    self._mark(part, module, function, kind)

    def _named_by_classes(self, module: sym.Module) -> None:
        """Functions a class names for a framework: ``functions = [send_mail]``, ``db = providers.Resource(get_db)``."""
        wanted = known.attributes(frozenset(b.module.partition(".")[0] for b in module.facts.imports))
        for cls in module.classes.values():
            for attribute in cls.facts.attributes:
                self._provider(attribute.value, module)
                kind = wanted.get(attribute.name)
                for part in sym.walk(attribute.value) if kind and attribute.value is not None else ():
                    self._mark(part, module, None, kind or "")

    def _provider(self, expr: s.Expr | None, module: sym.Module) -> None:
        """A container's ``Resource(get_db)``: the function is called for its value."""
        if isinstance(expr, s.Call) and expr.args and isinstance(expr.args[0], (s.Name, s.Attribute)):
            target = self._infer.expr(expr.func, Scope(module))
            if isinstance(target, v.External) and known.provides(target.dotted):
                self._depend(self._infer.expr(expr.args[0], Scope(module)))

    def _mark(self, expr: s.Expr, module: sym.Module, function: sym.Function | None, kind: str) -> None:
        if not isinstance(expr, (s.Name, s.Attribute)):
            return
        value = self._infer.expr(expr, Scope(module, function))
        if isinstance(value, v.FunctionRef):
            self.kinds.setdefault(value.function.key, kind)
            self.names.setdefault(value.function.key, value.function.qualname)


def _runs_its_argument(function: sym.Function) -> bool:
    """``def run_async(coro): loop.run_until_complete(coro)``: whatever it is given is a piece of work of its own."""
    for call in function.calls:
        if sym.last_name(call.func) == "run_until_complete" or sym.dotted_text(call.func) in {
            "asyncio.run",
            "anyio.run",
        }:
            if call.args and isinstance(call.args[0], s.Name) and call.args[0].id in function.parameters:
                return True
    return False


def _is_plain_call(call: s.Call) -> bool:
    """``add_user(f)``: a function of the project's own by its looks; a registration is a method of something."""
    return not isinstance(call.func, s.Attribute)


def _is_main_guard(test: s.Expr) -> bool:
    return isinstance(test, s.Compare) and isinstance(test.left, s.Name) and test.left.id == "__name__"
