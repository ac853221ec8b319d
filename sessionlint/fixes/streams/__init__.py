"""Streams and the session of their request: what repairs and migrations share.

Reading order: ``stream_entries`` (which endpoint answers with which generator), ``factories`` (what makes their
sessions), ``carriers`` (what a generator holds of its endpoint), ``run_effects`` and ``short_blocks`` (where a session
is needed), ``endpoint`` with ``parameters`` (what the endpoint lets go of), ``stream_session`` (all of it: the session
moved inside).
"""
