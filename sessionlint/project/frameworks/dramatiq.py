"""Dramatiq: actors, actor classes, middleware.

Source: https://dramatiq.io/reference.html
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

_MESSAGE = ("before_process_message", "after_process_message", "after_skip_message", "before_enqueue", "after_enqueue")
_WORKER = ("before_worker_boot", "after_worker_boot", "before_worker_shutdown", "after_worker_shutdown",
           "after_process_boot", "before_worker_thread_shutdown")  # fmt: skip

DRAMATIQ = Framework(
    packages=frozenset({"dramatiq"}),
    decorators={"actor": "task"},
    methods={
        "GenericActor": {"perform": "task"},
        "Middleware": {**dict.fromkeys(_MESSAGE, "event"), **dict.fromkeys(_WORKER, "lifespan")},
    },
    calls={"actor": {0: "task"}},
)
