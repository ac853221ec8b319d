"""Streams that keep the session of their request, because a unit of work of their own would go past its dependency.

Tests that replace the dependency still do so then. Only where FastAPI keeps the session open until the stream ends.
"""

from __future__ import annotations

import ast

from sessionlint.fixes.expiry import keeps_objects
from sessionlint.fixes.migrate.unit_class import unit_class
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import named_session
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.factories import factory_of
from sessionlint.fixes.streams.stream_entries import StreamEntry
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import fastapi
from sessionlint.project.infer import Scope


def lent_session(program: Program, entry: StreamEntry) -> str:
    """The parameter with the request's session to put a unit around; empty where the stream opens one of its own."""
    analysis, endpoint = program.analysis, entry.function
    origins = entry.streamed.origins
    if unit_class(program).cls is not None or not all(o.kind == "param" for o in origins):
        return ""
    behind = {pair for origin in origins for pair in analysis.request_sessions(endpoint, origin.name)}
    lifecycle = fastapi.lifecycle(analysis.settings.versions.get("fastapi"))
    if len(behind) != 1 or lifecycle.early or not keeps_objects(program):
        return ""
    provider, scope = next(iter(behind))
    if scope == "function" or not _gone_past(program, provider):
        return ""
    for name in endpoint.parameters:
        held = named_session(program, endpoint, name)
        if held is not None and held.is_async and analysis.request_sessions(endpoint, name) == [(provider, scope)]:
            return name
    return ""


def captured(program: Program, endpoint: sym.Function, node: ast.AST) -> set[str]:
    """Names of the endpoint that a nested generator uses and that hold a session."""
    infer, scope = program.analysis.infer, Scope(endpoint.module, endpoint)
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    known = {name for name in names if name in endpoint.parameters or name in endpoint.bindings}
    return {name for name in known if infer.holds(infer.name(name, scope))}


def is_lent(program: Program, generator: sym.Function, entry: StreamEntry) -> bool:
    """Whether the unit of a stream stands around the session that the stream got."""
    infer, scope = program.analysis.infer, Scope(generator.module, generator)
    held: set[v.Origin] = set()
    for name in generator.bindings:
        value = infer.name(name, scope)
        if any(isinstance(o, v.Instance) and program.analysis.engine.is_unit_class(o.cls) for o in v.options_of(value)):
            held |= infer.holds(value)
    return bool(held & set(entry.streamed.origins))


def _gone_past(program: Program, provider: sym.Function) -> bool:
    try:
        factory_of(program, provider)
    except Refused:
        return True
    return False
