"""Bridges to other tools: each file is loaded by its tool and by nothing else."""
