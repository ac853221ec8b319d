"""Endpoints that yield: FastAPI hands what they yield to the client, so the endpoint is its own stream.

Source: FastAPI 0.134 (JSON lines, ``StreamingResponse``) and 0.135 (``EventSourceResponse``), "Stream JSON Lines" and
"Server-Sent Events (SSE)" in https://fastapi.tiangolo.com/tutorial/. A dependency of default scope ends after the last
chunk, one with ``scope="function"`` before the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sessionlint.effects.observations import Streamed
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


def endpoint_streams(analysis: Analysis) -> Iterator[tuple[sym.Function, Streamed]]:
    """(endpoint, itself as a stream) with the sessions it uses."""
    for function in analysis.functions:
        if analysis.entries.kind(function) == "route" and analysis.hands_out_items(function):
            touched = tuple(sorted(analysis.result(function).summary.touches))
            yield function, Streamed(function.facts.loc, function, touched, ())


def lasts_as_long_as_its_client(function: sym.Function) -> bool:
    """Whether a route says ``response_class=EventSourceResponse``: the stream ends when the client has had enough."""
    classes = [
        keyword.value
        for decorator in function.facts.decorators
        if isinstance(decorator, s.Call)
        for keyword in decorator.keywords
        if keyword.name == "response_class"
    ]
    return any((sym.last_name(one) or "").endswith("EventSourceResponse") for one in classes)
