"""arq: the functions, cron jobs and hooks that a ``WorkerSettings`` class names.

Source: https://arq-docs.helpmanual.io/
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

ARQ = Framework(
    packages=frozenset({"arq"}),
    calls={
        "cron": {0: "task"},
        "func": {0: "task"},
        "Worker": {"functions": "task", "cron_jobs": "task", "on_startup": "lifespan", "on_shutdown": "lifespan",
                   "on_job_start": "event", "on_job_end": "event"},
    },
    attributes={"functions": "task", "cron_jobs": "task", "on_startup": "lifespan", "on_shutdown": "lifespan",
                "on_job_start": "event", "on_job_end": "event", "after_job_end": "event"},
)  # fmt: skip
