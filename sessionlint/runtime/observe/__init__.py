"""Counts and times real transactions by SQLAlchemy's events, never by replacing methods.

Reading order: `request_scope` (which endpoint is served), `transactions` (what happened on the connection), then who is
told: `prometheus`, `tracing`.
"""
