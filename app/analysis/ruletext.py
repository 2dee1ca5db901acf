"""YAML with line numbers: rule files as plain values that remember where they stood."""

from __future__ import annotations

from typing import Any

import yaml

from app.errors import InvalidInput

_LARGEST = 2 * 2**20
_DEEPEST = 12
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RuleError(InvalidInput):
    """A rule file says something it may not. The sentence begins with file and line; `words` is the rest of it."""

    def __init__(self, file: str, line: int, sentence: str) -> None:
        super().__init__(f"{file}, line {line}: {sentence}")
        self.file = file
        self.line = line
        self.words = sentence


class Mapping(dict[str, Any]):
    """A YAML mapping that knows its own line and that of each key."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.end = line  # the last
        self.file = ""
        self.document = ""  # what a store knows the text by, where it is no file
        self.lines: dict[str, int] = {}

    def at(self, key: str) -> int:
        return self.lines.get(key, self.line)


def load(text: str, file: str) -> Mapping:
    """The file's top-level mapping.

    Errors: RuleError where it is no YAML, no mapping, holds a key twice, or uses anchors, tags or great depth.
    """
    if len(text) > _LARGEST:
        raise RuleError(file, 1, "the file is larger than 2 MB.")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise RuleError(file, _line(event), "anchors and aliases are not read here.")
            # Asked before the nodes are made: the library makes them by recursion in C, which ends a process without a word.
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise RuleError(file, _line(event), "the file is nested too deeply.")
        root = yaml.compose(text + "\n", Loader=_Loader)  # so that the last block ends below its last line
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "this is not YAML"
        # What is missing at the end is missing on the last line that there is.
        raise RuleError(file, min(mark.line, text.count("\n")) + 1 if mark else 1, f"{problem}.") from None
    if not isinstance(root, yaml.MappingNode):
        raise RuleError(file, 1, "a rule file is a mapping with a list under `rules`.")
    value = _value(root, file)
    assert isinstance(value, Mapping)
    return value


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _value(node: yaml.Node, file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        out = Mapping(node.start_mark.line + 1)
        # In braces it ends where they close; a block ends on the line where something else begins.
        out.end = node.end_mark.line + (1 if node.flow_style else 0)
        for key_node, value_node in node.value:
            key = _key(key_node, file)
            if key in out:
                raise RuleError(file, key_node.start_mark.line + 1, f"{key!r} stands here twice.")
            out[key] = _value(value_node, file)
            out.lines[key] = key_node.start_mark.line + 1
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, file) for item in node.value]
    return _scalar(node)


def _key(node: yaml.Node, file: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise RuleError(file, node.start_mark.line + 1, "a key is a word.")
    return str(node.value)


def _scalar(node: yaml.Node) -> Any:
    """Text, or true, false, null where written plainly. Numbers stay text: values are compared as text."""
    text = str(node.value)
    if node.tag == "tag:yaml.org,2002:bool":
        return text.lower() in ("true", "yes", "on")
    if node.tag == "tag:yaml.org,2002:null":
        return None
    return text
