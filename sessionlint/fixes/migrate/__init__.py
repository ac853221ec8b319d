"""Migrations: changes of a project's design that somebody asks for, made by the same engine as repairs of findings."""
