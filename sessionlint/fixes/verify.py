"""``--verify``: run the user's command on the real tree after each group, and put the files back where it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from sessionlint.fixes.disk import NotWritten, write


@dataclass(frozen=True)
class Verifier:
    """Runs ``command`` (through the shell, as typed) in ``root``."""

    root: str
    command: str

    def run(self) -> str:
        """Why the command fails: its exit code and last line of output; empty where it succeeds."""
        done = subprocess.run(
            self.command, shell=True, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode == 0:
            return ""
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        return f"`{self.command}` fails with exit code {done.returncode}{last}"

    def confirm(self, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
        """Write what differs, run the command; undo it and say why where it fails."""
        new = {file: source for file, source in after.items() if before.get(file) != source}
        old = {file: before[file] for file in new}
        try:
            write(self.root, old, new)
        except NotWritten as problem:
            return str(problem)
        try:
            reason = self.run()
        except BaseException:
            write(self.root, new, old)
            raise
        if reason:
            write(self.root, new, old)
        return reason
