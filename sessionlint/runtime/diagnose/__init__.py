"""Live checks of a database: is what was committed there, who holds transactions and locks, are limits set.

Reading order: `answers` (what a check says), `database` (connecting, without ever showing a password), `round_trip`
and `sample_rows` (a parent and a child, seen from a second connection), `activity`, `integrity`, `limits`, and
`examination` (all of it in order). Everything but the round trip only reads. Imports nothing of the analyser.
"""
