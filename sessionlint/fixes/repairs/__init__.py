"""The fixers, one per file; ``sessionlint.fixes`` says how to write one."""
