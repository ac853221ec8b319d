"""Writes files into a user's tree: the reference runtime as source, or what watches it (alerts, dashboard, runbook).

Reading order: `files` (what is written, and when that is refused), `runtime_files`, `monitoring_files` with
`dashboard`; the other files of monitoring lie ready in ``monitoring/``. Imports nothing of what it writes.
"""
