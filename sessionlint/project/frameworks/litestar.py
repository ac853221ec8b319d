"""Litestar: handlers, controllers, listeners, hooks, dependencies.

Source: https://docs.litestar.dev/2/ (route handlers, events, life-cycle hooks, dependency injection).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework, belongs

_HANDLERS = ("get", "post", "put", "patch", "delete", "head", "route", "asgi", "websocket", "websocket_listener",
             "websocket_stream")  # fmt: skip
_HOOKS = ("before_request", "after_request", "after_response", "exception_handlers", "before_send", "after_exception")

LITESTAR = Framework(
    packages=frozenset({"litestar", "starlite"}),
    decorators={**dict.fromkeys(_HANDLERS, "route"), "listener": "event", "asynccontextmanager": "lifespan"},
    methods={
        "AbstractMiddleware": {"__call__": "event"},
        "ASGIMiddleware": {"handle": "event"},
        "WebsocketListener": {"on_receive": "route", "on_accept": "event", "on_disconnect": "event"},
    },
    calls={
        "Litestar": {**dict.fromkeys(_HOOKS, "event"), "lifespan": "lifespan", "on_startup": "lifespan",
                     "on_shutdown": "lifespan"},
        "Router": dict.fromkeys(_HOOKS, "event"),
        "BackgroundTask": {0: "background"},
    },
    provides=frozenset({"Provide"}),
)  # fmt: skip

#: the argument and class attribute that declares dependencies, by the name of the parameter
LAYER = "dependencies"
#: what takes it around handlers; handlers and controllers take it, too
LAYERS = ("Router", "Litestar", "Starlite")
#: a generator's clean-up runs when the handler has returned, before the response is sent: FastAPI's scope of that name
#: (https://docs.litestar.dev/2/usage/dependency-injection.html, dependencies with yield)
SCOPE = "function"


def is_handler(dotted: str) -> bool:
    """Whether a decorator by this outside name makes a route handler."""
    return belongs(LITESTAR, dotted) and dotted.rpartition(".")[2] in _HANDLERS
