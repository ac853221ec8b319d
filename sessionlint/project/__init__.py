"""All files together: names, classes, values and their origins, tables, lifetimes, entry points.

Reading order: ``symbols`` (who defines what), ``values`` (what an expression can be), ``infer`` (which it is) with
``classes``, ``annotations`` and ``outside``; then ``tables``, ``lifetimes`` and ``frameworks``.
"""
