"""What lies on disk: the project root, its Python files, their bytes, and the suppression comments in them.

Knows nothing about what the code means. Read in this order: root, discover, read, suppressions, roles.
"""
