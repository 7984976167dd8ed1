"""Questions of a command: each has a flag, and is asked at a terminal alone. Elsewhere what is missing is told."""

import sys
from collections.abc import Sequence

import typer

from bus.errors import SettingError


class Asker:
    """Asks what was not said. Without a terminal it notes the flags, and `settle` names them all."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdin.isatty()
        self._missing: list[tuple[str, str]] = []

    def ask(
        self,
        flag: str,
        question: str,
        *,
        said: str | None,
        candidates: Sequence[str] = (),
        known: Sequence[str] = (),
        default: str | None = None,
    ) -> str:
        """What was said, or else the answer. An answer that is not among `known`, where that is given, is none."""
        if said is not None:
            if known and said not in known:
                raise SettingError(f"{flag} names '{said}', which is not there", remedy=f"known are {', '.join(known)}")
            return said
        shown = f" ({', '.join(candidates)})" if candidates else ""
        if not self._is_terminal:
            self._missing.append((question, f"{flag} …{shown}"))
            return ""
        while True:
            answer: str = typer.prompt(question + shown, default=default, err=True).strip()
            if answer and (not known or answer in known):
                return answer
            typer.echo(f"choose among {', '.join(known)}", err=True)

    def settle(self) -> None:
        """Returns when nothing is missing. Raises SettingError naming each question's flag."""
        if self._missing:
            questions = "; ".join(question[:1].lower() + question[1:] for question, _ in self._missing)
            raise SettingError(
                f"the sample does not tell, and there is no terminal to ask at: {questions}",
                remedy=f"say it with {'; '.join(flag for _, flag in self._missing)}",
            )


def pairs(flag: str, words: Sequence[str] | None) -> dict[str, str]:
    """The words NAME=VALUE of a flag that may come often. Raises SettingError."""
    parted = [word.partition("=") for word in words or ()]
    for name, sign, value in parted:
        if not (name and sign and value):
            raise SettingError(f"{flag} takes NAME=VALUE, not '{name}{sign}{value}'", remedy="write both around '='")
    return {name: value for name, _, value in parted}
