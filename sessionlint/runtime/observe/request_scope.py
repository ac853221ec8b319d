"""Tells deep code which endpoint is being served, by its route template, and counts commits per request."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

NO_REQUEST = "none"
UNMATCHED = "unmatched"


@dataclass
class RequestScope:
    """One request; shared by all tasks that it starts, because a context variable hands on the object itself."""

    scope: Scope
    commits: int = 0

    @property
    def endpoint(self) -> str:
        """The route's template, ``/sessions/{session_id}``. Known only after routing, hence read late.

        Never the path that was asked for: each identifier would become a series of its own.
        """
        template = getattr(self.scope.get("route"), "path", None)
        if isinstance(template, str):
            return template
        endpoint = self.scope.get("endpoint")
        return getattr(endpoint, "__qualname__", UNMATCHED)


current_request: ContextVar[RequestScope | None] = ContextVar("sessionlint_current_request", default=None)


class RequestScopeMiddleware:
    """Plain ASGI: ``BaseHTTPMiddleware`` would run the endpoint in a task group of its own.

    ``on_end`` is called when the response, the stream and the background tasks are over.
    """

    def __init__(self, app: ASGIApp, on_end: Callable[[RequestScope], None] | None = None) -> None:
        self._app = app
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request = RequestScope(scope)
        token = current_request.set(request)
        try:
            await self._app(scope, receive, send)
        finally:
            current_request.reset(token)
            if self._on_end is not None:
                self._on_end(request)
