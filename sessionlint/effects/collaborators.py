"""Which implementations of its interfaces an object was built with, so that its methods can be run with just those."""

from __future__ import annotations

from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference

#: different builds of an object that one function is run with; further ones take what holds for all
_MAX_BUILDS = 6


class Collaborators:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._builds: dict[str, set[v.Instance]] = {}
        self._open: dict[tuple[str, str], bool] = {}

    def of(self, function: sym.Function, receiver: v.Value | None) -> v.Instance | None:
        """The receiver of a method as the method sees it, with the collaborators that are known; None for none."""
        if not isinstance(receiver, v.Instance) or not receiver.fields or function.receiver is None:
            return None
        built = self._chosen(receiver, v.Origin("param", function.receiver))
        if built is None:
            return None
        builds = self._builds.setdefault(function.key, set())
        if built not in builds and len(builds) >= _MAX_BUILDS:
            return None
        builds.add(built)
        return built

    def _chosen(self, obj: v.Instance, root: v.Origin) -> v.Instance | None:
        """The object with only those attributes that could hold one of several classes, or lead to such."""
        fields = []
        for attr, value in obj.fields:
            if isinstance(value, v.Instance):
                at = v.Origin(root.kind, root.name, (*root.path, attr))
                inner = self._chosen(value, at)
                if inner is not None or self._is_open(obj.cls, attr):
                    fields.append((attr, inner or v.Instance(value.cls, at)))
        return v.Instance(obj.cls, root, tuple(fields)) if fields else None

    def _is_open(self, cls: sym.Class, attr: str) -> bool:
        """Whether an attribute holds objects of several classes, by what is said of all objects of its class."""
        key = (cls.key, attr)
        if key not in self._open:
            options = v.options_of(self._infer.classes.attribute_type(cls, attr))
            held = [o.cls for o in options if isinstance(o, v.Instance)]
            self._open[key] = len(held) > 1 or any(map(self._infer.classes.is_interface, held))
        return self._open[key]
