"""Starlette (and FastAPI, which is one): routes, endpoints, middleware, exception handlers, background tasks.

Source: https://www.starlette.io/ (routing, endpoints, middleware, lifespan, background tasks).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

STARLETTE = Framework(
    packages=frozenset({"starlette", "fastapi"}),
    decorators={"exception_handler": "event", "middleware": "event", "on_event": "lifespan"},
    methods={
        "HTTPEndpoint": dict.fromkeys(("get", "post", "put", "patch", "delete", "head", "options"), "route"),
        "WebSocketEndpoint": {"on_receive": "route", "on_connect": "event", "on_disconnect": "event"},
        "BaseHTTPMiddleware": {"dispatch": "event"},
        "AuthenticationBackend": {"authenticate": "event"},
    },
    calls={
        "Route": {1: "route", "endpoint": "route"},
        "APIRoute": {1: "route", "endpoint": "route"},
        "WebSocketRoute": {1: "route", "endpoint": "route"},
        "add_route": {1: "route", "route": "route"},
        "add_api_route": {1: "route", "endpoint": "route"},
        "add_websocket_route": {1: "route"},
        "add_exception_handler": {1: "event"},
        "add_event_handler": {1: "lifespan"},
        "Starlette": {"exception_handlers": "event", "lifespan": "lifespan", "on_startup": "lifespan",
                      "on_shutdown": "lifespan"},
        "FastAPI": {"exception_handlers": "event", "lifespan": "lifespan", "on_startup": "lifespan",
                    "on_shutdown": "lifespan"},
        "BackgroundTask": {0: "background", "func": "background"},
        "BaseHTTPMiddleware": {"dispatch": "event"},
    },
    lasting=frozenset({"BaseHTTPMiddleware"}),
)  # fmt: skip
