"""Options of a project: declared once (settings), located and checked (load), and the library versions (versions).

The lowest layer: imports nothing else of sessionlint and knows no rule, so known codes are handed in.
"""
