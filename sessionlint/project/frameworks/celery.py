"""Celery: tasks, task classes, and the signals at the start of a worker.

Source: https://docs.celeryq.dev/en/stable/userguide/ (tasks, signals).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

_START = ("worker_init", "worker_ready", "worker_process_init", "worker_process_shutdown", "worker_shutdown",
          "celeryd_init", "beat_init", "on_after_configure", "on_after_finalize", "setup_logging")  # fmt: skip

CELERY = Framework(
    packages=frozenset({"celery"}),
    decorators={
        "task": "task",
        "shared_task": "task",
        **{f"{signal}.connect": "lifespan" for signal in _START},
        "connect": "event",
    },
    methods={"Task": {"run": "task", "__call__": "task", "on_failure": "event", "on_success": "event",
                      "on_retry": "event", "before_start": "event", "after_return": "event"}},
)  # fmt: skip
