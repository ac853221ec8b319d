"""Names a repair needs in a file: how the file already spells them, else the import to add; imports nobody needs.

Must not rewrite imports that stay.
"""

from __future__ import annotations

import ast
import sys

from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, NeededImport

_FUTURE = "__future__"
#: an import longer than this is written over several lines
_LONG = 120


def spelled(document: Document, module: str, name: str, at: int | None = None) -> tuple[str, NeededImport | None]:
    """How to write ``module.name`` in a file, and the import that must be added for it (None if there is one).

    ``module`` is absolute, or relative with leading dots. Raises ``LookupError`` where the bare name means something
    else in the file.
    """
    for node in document.tree.body:
        if isinstance(node, ast.ImportFrom) and _module_of(node) == module:
            for alias in node.names:
                if alias.name == name:
                    return alias.asname or alias.name, None
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == module and (alias.asname or "." not in module):
                    return f"{alias.asname or alias.name}.{name}", None
    if name in document.bound_names:
        raise LookupError(f"`{name}` means something else in {document.file}")
    return name, NeededImport(document.file, module, name)


def _module_of(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def added(document: Document, needed: list[NeededImport], own: frozenset[str]) -> list[Edit]:
    """Edits that add imports: into a statement that reads from the same module, else as lines of their own.

    ``own`` are the top-level packages of the project: their imports stand in the last section.
    """
    by_module: dict[str, set[str]] = {}
    for one in needed:
        by_module.setdefault(one.module, set()).add(one.name)
    edits: list[Edit] = []
    fresh: list[str] = []
    for module in sorted(by_module, key=_import_order):
        names = sorted(by_module[module])
        node = _statement_from(document, module)
        if node is not None:
            edits.append(_extended(document, node, names))
        else:
            fresh.append(_statement(document, module, names))
    if fresh:
        edits.extend(_placed(document, fresh, own))
    return edits


def _statement(document: Document, module: str, names: list[str]) -> str:
    """An import, its names on lines of their own where one line would be long."""
    text = f"from {module} import {', '.join(names)}"
    if len(text) <= _LONG:
        return text
    return f"from {module} import (\n" + "".join(f"{document.unit}{name},\n" for name in names) + ")"


def _import_order(module: str) -> tuple[int, str]:
    return (1 if module.startswith(".") else 0, module)


def _statement_from(document: Document, module: str) -> ast.ImportFrom | None:
    for node in document.tree.body:
        if isinstance(node, ast.ImportFrom) and _module_of(node) == module:
            if not any(alias.name == "*" for alias in node.names):
                return node
    return None


def _extended(document: Document, node: ast.ImportFrom, names: list[str]) -> Edit:
    """The new names behind the last one, in the layout that is there; in order where the others are."""
    last = node.names[-1]
    end = document.end(last)
    if document.line_of(document.start(last)) != node.lineno:
        space = document.indentation(last)
        line = document.text[document.line_start(document.line_of(document.start(last))) : document.start(last)]
        if not line.strip():
            return Edit(document.file, end, end, "".join(f",\n{space}{name}" for name in names))
    plain = [_written(alias) for alias in node.names]
    every = [*plain, *names]
    if plain == sorted(plain, key=str.lower):
        every = sorted(set(every), key=str.lower)
    if node.lineno != node.end_lineno or node.lineno in document.comments:
        return Edit(document.file, end, end, "".join(f", {name}" for name in names))
    text = f"from {_module_of(node)} import {', '.join(every)}"
    if len(text) <= _LONG:
        return Edit(document.file, document.start(node.names[0]), end, ", ".join(every))
    lines = _statement(document, _module_of(node), every)
    return Edit(document.file, document.start(node.names[0]), end, lines[lines.index("import ") + 7 :])


def _written(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _placed(document: Document, lines: list[str], own: frozenset[str]) -> list[Edit]:
    """Import lines at their places, those that share one as one edit."""
    imports = _leading(document)
    groups: dict[tuple[int, int, str], list[str]] = {}
    for line in lines:
        module = line.split()[1]
        offset, style = _where(document, imports, module, own)
        groups.setdefault((offset, _section(module, own), style), []).append(line)
    texts: dict[int, str] = {}
    for (offset, _section_number, style), some in sorted(groups.items()):
        texts[offset] = texts.get(offset, "") + _FRAMES[style].format("".join(f"{line}\n" for line in some))
    return [Edit(document.file, offset, offset, text) for offset, text in texts.items()]


#: how a section of its own is set apart
_FRAMES = {"plain": "{}", "before": "{}\n", "after": "\n{}", "top": "{}\n\n"}


def _section(module: str, own: frozenset[str]) -> int:
    """0 ``__future__``, 1 standard library, 2 others, 3 the project, 4 relative: the order of isort and ruff."""
    head = module.partition(".")[0]
    if module == _FUTURE:
        return 0
    if module.startswith("."):
        return 4
    if head in sys.stdlib_module_names:
        return 1
    return 3 if head in own else 2


def _leading(document: Document) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the top of the file."""
    kept: list[ast.Import | ast.ImportFrom] = []
    for node in document.tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            kept.append(node)
        elif kept or not isinstance(node, ast.Expr):
            break
    return kept


def _where(
    document: Document, imports: list[ast.Import | ast.ImportFrom], module: str, own: frozenset[str]
) -> tuple[int, str]:
    """(offset, frame) of a new import line."""
    if not imports:
        return _after_docstring(document)
    wanted = _section(module, own)
    sections = [_section(_module_of(n) if isinstance(n, ast.ImportFrom) else n.names[0].name, own) for n in imports]
    alike = [n for n, section in zip(imports, sections, strict=True) if section == wanted]
    if alike:
        before = [n for n in alike if isinstance(n, ast.Import) or _module_of(n).lower() <= module.lower()]
        if before:
            return document.line_start((before[-1].end_lineno or 0) + 1), "plain"
        return document.line_start(document.line_of(document.start(alike[0]))), "plain"
    later = [n for n, section in zip(imports, sections, strict=True) if section > wanted]
    earlier = [n for n, section in zip(imports, sections, strict=True) if section < wanted]
    if not later:
        return document.line_start((earlier[-1].end_lineno or 0) + 1), "after"
    start = document.line_start(document.line_of(document.start(later[0])))
    apart = not earlier or document.text[:start].endswith(document.newline * 2)
    return start, "before" if apart else "plain"


def _after_docstring(document: Document) -> tuple[int, str]:
    body = document.tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        if len(body) == 1:
            return document.line_start((body[0].end_lineno or 0) + 1), "after"
        return document.line_start((body[0].end_lineno or 0) + 1), "after"
    if body:
        return document.line_start(document.line_of(document.start(body[0]))), "top"
    return len(document.text), "plain"


def unused(document: Document, names: set[str]) -> list[Edit]:
    """Edits that take top-level imports out whose name the file no longer uses (nor exports in ``__all__``)."""
    used = {node.id for node in document.nodes if isinstance(node, ast.Name)}
    used |= {node.value for node in document.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    edits = []
    for node in document.tree.body:
        if not isinstance(node, (ast.ImportFrom, ast.Import)):
            continue
        gone = [a for a in node.names if (a.asname or a.name) in names - used]
        if not gone or any(line in document.comments for line in range(node.lineno, (node.end_lineno or 0) + 1)):
            continue
        if len(gone) == len(node.names):
            edits.append(_line_out(document, node))
            continue
        edits.extend(_without(document, node, gone))
    return edits


def _line_out(document: Document, node: ast.stmt) -> Edit:
    """A whole import statement, and the blank line that set it apart where nothing of its section is left."""
    first, last = document.line_of(document.start(node)), node.end_lineno or node.lineno
    body = document.tree.body
    at = body.index(node)
    above = first > 1 and bool(document.line_text(first - 1).strip())
    if above and not isinstance(body[at - 1] if at else None, (ast.Import, ast.ImportFrom)):
        # right below the docstring: the blank line behind it was there for this section only
        above = not isinstance(body[at + 1] if at + 1 < len(body) else None, (ast.Import, ast.ImportFrom))
    if not above and last < document.line_of(len(document.text)) and not document.line_text(last + 1).strip():
        last += 1
    return Edit(document.file, document.line_start(first), document.line_start(last + 1), "")


def _without(document: Document, node: ast.Import | ast.ImportFrom, gone: list[ast.alias]) -> list[Edit]:
    """Cut names out of an import, each with the comma and space that belong to it."""
    edits = []
    for alias in gone:
        index = node.names.index(alias)
        if index + 1 < len(node.names):
            edits.append(Edit(document.file, document.start(alias), document.start(node.names[index + 1]), ""))
        else:
            before = next(a for a in reversed(node.names[:index]) if a not in gone)
            edits.append(Edit(document.file, document.end(before), document.end(alias), ""))
    return edits
