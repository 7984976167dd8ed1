"""The catalogue's files: which there are, and their text as a tree with places. Nothing in them is run or expanded."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from registry.catalogue_entry import Entry
from registry.errors import Mistake

FILE_BYTES_MAX = 256 * 1024  # a hundred times a long contract
FILES_MAX = 20_000  # a nation of a thousand agencies fits
DEPTH_MAX = 32  # the layout needs 6; above it a file is an attack on the parser's stack
_TAGS = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|timestamp|seq|map|merge|value)")


class Files:
    """The files of one catalogue; what cannot be read is noted in `found` and reads as absent."""

    def __init__(self, folder: Path | None) -> None:
        self._root: Traversable = files("schemas") if folder is None else folder
        self._shown = "schemas" if folder is None else str(folder)
        self._count = 0
        self.found: list[Mistake] = []

    def shown(self, name: str) -> str:
        """The name as mistakes tell it."""
        return f"{self._shown}/{name}" if name else self._shown

    def has(self, name: str) -> bool:
        """Whether the catalogue has such a file or folder."""
        return self._place(name).is_file() or self._place(name).is_dir()

    def names(self, folder: str = "") -> tuple[list[str], list[str]]:
        """The names of the files and of the folders in a folder, sorted; hidden ones, Python's and READMEs left out."""
        place = self._place(folder)
        if not place.is_dir():
            return [], []
        members = [member for member in place.iterdir() if not member.name.startswith((".", "__", "README"))]
        folders = sorted(member.name for member in members if member.is_dir())
        return sorted(member.name for member in members if not member.is_dir()), folders

    def _place(self, name: str) -> Traversable:
        return self._root.joinpath(name) if name else self._root

    def mistake(self, name: str, message: str, *, line: int = 1, field: str = "") -> None:
        """Notes a mistake in a file."""
        self.found.append(Mistake(file=self.shown(name), line=line, field=field, message=message))

    def text(self, name: str) -> str | None:
        """The text of a file; None, and a mistake, when it is missing, too large or not UTF-8."""
        self._count += 1
        if self._count > FILES_MAX:
            if self._count == FILES_MAX + 1:
                self.mistake("", f"the catalogue has more than {FILES_MAX} files; name the right folder")
            return None
        if not self._place(name).is_file():
            self.mistake(name, "there is no such file; write it")
            return None
        try:
            with self._place(name).open("rb") as stream:
                content = stream.read(FILE_BYTES_MAX + 1)
        except OSError as exc:
            self.mistake(name, f"cannot be read: {exc.strerror or exc}; make it readable")
            return None
        if len(content) > FILE_BYTES_MAX:
            self.mistake(name, f"the file is larger than {FILE_BYTES_MAX} bytes; split it")
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            self.mistake(name, "the file is not UTF-8; save it so", line=content[: exc.start].count(b"\n") + 1)
            return None

    def tree(self, name: str) -> Entry:
        """The content of a YAML file."""
        text = self.text(name)
        node = None if text is None else self._composed(name, text)
        return Entry(self.found, file=self.shown(name), field="", line=1, node=node)

    def _composed(self, name: str, text: str) -> yaml.Node | None:
        try:
            faults = list(_faults(text))
            node: yaml.Node | None = None if faults else yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as exc:
            mark: Any = getattr(exc, "problem_mark", None)
            problem: Any = getattr(exc, "problem", None) or getattr(exc, "reason", None) or "unreadable"
            self.mistake(name, f"is no YAML: {problem}; correct it here", line=mark.line + 1 if mark else 1)
            return None
        for line, fault in faults:
            self.mistake(name, fault, line=line)
        if not faults and not isinstance(node, yaml.MappingNode):
            self.mistake(name, "holds no mapping of keys to values; write one")
            return None
        return node


def _faults(text: str) -> Iterator[tuple[int, str]]:
    """What makes a YAML file unsafe to compose, with its line."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            yield line, f"the alias '*{event.anchor}' is not taken here; write the value out"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            yield line, f"values lie deeper than {DEPTH_MAX} levels; write them flatter"
            return
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!" and not _TAGS.fullmatch(tag):
            yield line, f"the tag '{tag}' is not taken here; write plain YAML"
