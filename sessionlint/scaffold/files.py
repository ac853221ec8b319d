"""A set of files to write below one folder, all or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class WouldOverwrite(Exception):
    """Files stand there already with other content; the message names them."""


@dataclass(frozen=True)
class Written:
    """What happened to each file, by its path below the folder."""

    new: tuple[str, ...]
    replaced: tuple[str, ...]
    unchanged: tuple[str, ...]


def write_all(folder: Path, texts: Mapping[str, str], *, force: bool = False) -> Written:
    """Write every text below ``folder``; nothing is written where one would overwrite something else.

    Raises ``WouldOverwrite`` (unless ``force``) and ``OSError``.
    """
    new, changed, unchanged = [], [], []
    for name, text in texts.items():
        path = folder / name
        if not path.exists():
            new.append(name)
        elif path.is_file() and path.read_bytes() == text.encode("utf-8"):
            unchanged.append(name)
        else:
            changed.append(name)
    if changed and not force:
        raise WouldOverwrite(
            f"{folder} holds other versions of {', '.join(changed[:5])}"
            f"{f' and {len(changed) - 5} more' if len(changed) > 5 else ''}; nothing was written"
        )
    for name in (*new, *changed):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".sessionlint-tmp")
        draft.write_bytes(texts[name].encode("utf-8"))
        os.replace(draft, path)
    return Written(tuple(new), tuple(changed), tuple(unchanged))
