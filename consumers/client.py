"""A client of the evidence API for service back-ends: typed answers, and an error where an answer would mislead.

with EvidenceClient("https://evidence.example", token=lambda: my_token) as client:
    answer = client.ask("unemployment-benefit", national_id, case_reference="1405-17")
    if answer.is_complete:
        grant(answer.claims("insurance-history"))
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from consumers.errors import ConsumerError
from consumers.evidence.answer import Status
from consumers.evidence.models import EvidenceAnswer, EvidenceAnswers, Problem, ProcedureDescription, Procedures

TIMEOUT_S = 10.0
Model = TypeVar("Model", bound=BaseModel)


class ClientError(ConsumerError):
    """The API gave no answer; `problem` is what it said, None when it said nothing that can be read."""

    def __init__(self, message: str, *, problem: Problem | None = None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.problem = problem


class AwayError(ClientError):
    """The API is away or busy: the same call may go through later. No evidence was given."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class NotPermittedError(ClientError):
    """No agreement permits any of what was asked for; the reasons stand in `problem.requirements`."""


class StaleError(ClientError):
    """A requirement cannot be judged, for its views are too old; `answer` is what the API gave."""

    def __init__(self, answer: "Answer") -> None:
        stale = ", ".join(one.requirement for one in answer.said.requirements if one.status is Status.STALE)
        super().__init__(f"the evidence is stale: {stale}", remedy="ask later, or with allow_stale=True")
        self.answer = answer


class Answer:
    """An answer, and the claims in it by evidence type; `said` is all of it."""

    def __init__(self, said: EvidenceAnswer) -> None:
        self.said = said

    @property
    def is_complete(self) -> bool:
        """Whether every requirement is met."""
        return self.said.is_complete

    def claims(self, evidence_type: str) -> list[dict[str, Any]]:
        """The claims of each piece of an evidence type; empty when none was given."""
        pieces = (piece for one in self.said.requirements for piece in one.evidence)
        return [piece.claims for piece in pieces if piece.evidence_type == evidence_type]


class EvidenceClient:
    """Asks one evidence API. `token` gives the bearer token for each call, so that it can be renewed in time."""

    def __init__(
        self, url: str, *, token: Callable[[], str], language: str = "en", timeout_s: float = TIMEOUT_S
    ) -> None:
        self._token = token
        self._http = httpx2.Client(base_url=url, timeout=timeout_s, headers={"accept-language": language})

    def ask(
        self,
        procedure: str,
        national_id: str,
        *,
        case_reference: str | None = None,
        acting_user: str | None = None,
        represented_party: str | None = None,
        effective_at: datetime | None = None,
        known_at: datetime | None = None,
        allow_stale: bool = False,
    ) -> Answer:
        """The evidence that a procedure requires about a person, or about the one for whom she acts by a mandate.

        Raises ClientError, and StaleError unless allowed.
        """
        asked = _asked(procedure, case_reference, acting_user, effective_at, known_at)
        body = {**asked, "national_id": national_id}
        if represented_party is not None:
            body["represented_party"] = represented_party
        answer = Answer(_read(EvidenceAnswer, self._call("POST", "/v1/evidence", body)))
        return answer if allow_stale else _not_stale(answer)

    def ask_about_many(
        self,
        procedure: str,
        national_ids: Sequence[str],
        *,
        case_reference: str | None = None,
        acting_user: str | None = None,
        effective_at: datetime | None = None,
        known_at: datetime | None = None,
        allow_stale: bool = False,
    ) -> list[Answer | Problem]:
        """The answers about many persons, in their order; a problem where a person has none.

        Raises ClientError when there is no answer at all, and StaleError unless allowed.
        """
        asked = _asked(procedure, case_reference, acting_user, effective_at, known_at)
        body = {**asked, "national_ids": list(national_ids)}
        said = _read(EvidenceAnswers, self._call("POST", "/v1/evidence", body)).answers
        answers = [Answer(one) if isinstance(one, EvidenceAnswer) else one for one in said]
        if not allow_stale:
            for one in answers:
                if isinstance(one, Answer):
                    _not_stale(one)
        return answers

    def procedures(self) -> Procedures:
        """Every procedure that can be asked for. Raises ClientError."""
        return _read(Procedures, self._call("GET", "/v1/procedures"))

    def procedure(self, name: str) -> ProcedureDescription:
        """What a procedure requires, and who provides it. Raises ClientError."""
        return _read(ProcedureDescription, self._call("GET", f"/v1/procedures/{name}"))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> "EvidenceClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self._token()}"} if body is not None else {}
        try:
            response = self._http.request(method, path, json=body, headers=headers)
        except httpx2.HTTPError as exc:
            raise AwayError(f"the evidence API does not answer: {type(exc).__name__}", remedy="ask later") from None
        if response.status_code == httpx2.codes.OK:
            return response
        raise _error(response)


def _asked(
    procedure: str,
    case_reference: str | None,
    acting_user: str | None,
    effective_at: datetime | None,
    known_at: datetime | None,
) -> dict[str, Any]:
    """A request without its persons; what is not said is left out."""
    asked = {
        "procedure": procedure,
        "case_reference": case_reference,
        "acting_user": acting_user,
        "effective_at": effective_at and effective_at.isoformat(),
        "known_at": known_at and known_at.isoformat(),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _not_stale(answer: Answer) -> Answer:
    if any(one.status is Status.STALE for one in answer.said.requirements):
        raise StaleError(answer)
    return answer


def _read(model: type[Model], response: httpx2.Response) -> Model:
    return model.model_validate_json(response.content)


def _error(response: httpx2.Response) -> ClientError:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return AwayError(f"the evidence API answers with status {response.status_code} and no problem")
    message = f"{problem.title} {problem.detail or ''}".strip()
    if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return AwayError(message, problem=problem, remedy="ask later")
    kind = NotPermittedError if response.status_code == httpx2.codes.FORBIDDEN else ClientError
    return kind(message, problem=problem)
