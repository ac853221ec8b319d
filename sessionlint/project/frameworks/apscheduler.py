"""APScheduler: jobs, by decorator or by call.

Source: https://apscheduler.readthedocs.io/en/3.x/userguide.html (and 4.x: add_schedule, configure_task).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

APSCHEDULER = Framework(
    packages=frozenset({"apscheduler", "flask_apscheduler", "fastapi_utils", "fastapi_utilities", "rocketry"}),
    decorators={"scheduled_job": "task", "task": "task", "repeat_every": "task", "repeat_at": "task"},
    calls={
        "add_job": {0: "background", "func": "background"},
        "add_schedule": {0: "background", "func_or_task_id": "background"},
        "configure_task": {1: "background", "func": "background"},
        "add_listener": {0: "event"},
    },
)
