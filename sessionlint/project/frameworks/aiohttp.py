"""aiohttp's web server: handlers, views, middlewares, startup and cleanup.

Source: https://docs.aiohttp.org/en/stable/web_reference.html
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")

AIOHTTP = Framework(
    packages=frozenset({"aiohttp"}),
    decorators={
        **{f"RouteTableDef.{verb}": "route" for verb in (*_VERBS, "view", "route")},
        "web.middleware": "event",
    },
    methods={"View": dict.fromkeys(_VERBS, "route")},
    calls={
        **{f"web.{verb}": {1: "route", "handler": "route"} for verb in (*_VERBS, "view")},
        **{f"add_{verb}": {1: "route", "handler": "route"} for verb in (*_VERBS, "view")},
        "web.route": {2: "route", "handler": "route"},
        "router.add_route": {2: "route", "handler": "route"},
        "on_startup.append": {0: "lifespan"},
        "on_shutdown.append": {0: "lifespan"},
        "on_cleanup.append": {0: "lifespan"},
        "cleanup_ctx.append": {0: "lifespan"},
        "on_response_prepare.append": {0: "event"},
        "middlewares.append": {0: "event"},
    },
    applications=frozenset({"web.Application"}),
)
