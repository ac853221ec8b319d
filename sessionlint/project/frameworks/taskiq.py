"""taskiq: tasks, events of workers and clients, middlewares.

Source: https://taskiq-python.github.io/guide/ (getting started, state and events, middlewares).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

_HOOKS = ("pre_send", "post_send", "pre_execute", "post_execute", "post_save", "on_error")

TASKIQ = Framework(
    packages=frozenset({"taskiq", "taskiq_redis", "taskiq_nats", "taskiq_aio_pika", "taskiq_fastapi"}),
    decorators={"task": "task", "shared_task": "task", "on_event": "lifespan"},
    methods={"TaskiqMiddleware": {**dict.fromkeys(_HOOKS, "event"), "startup": "lifespan", "shutdown": "lifespan"}},
    calls={"register_task": {0: "task"}, "add_event_handler": {1: "lifespan"}},
)
