"""Names on the brokers: which agencies may enter, by SCRAM, and what each may touch.

An agency writes its own record topics and heartbeats; it reads its own record and quarantine topics, in groups whose
names begin with its own. Whatever no rule allows is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from bus.kafka import ANSWER_TIMEOUT_S, REQUEST_TIMEOUT_S, bus_error
from bus.topics import SOURCE_HEARTBEATS, quarantine_topic, records_topic

SCRAM_ITERATIONS = 8_192
_ANY_HOST = "*"
_ANY: Any = None  # of a filter; the package's own types do not know it


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A name that may enter; `rules` says in words what it may do."""

    name: str
    rules: tuple[str, ...]


def agency_rules(agency: str) -> list[AclBinding]:
    """What an agency may do."""
    prefixed, literal = ResourcePatternType.PREFIXED, ResourcePatternType.LITERAL
    allowed = (
        (ResourceType.TOPIC, records_topic(f"{agency}."), prefixed, AclOperation.WRITE),
        (ResourceType.TOPIC, records_topic(f"{agency}."), prefixed, AclOperation.READ),
        (ResourceType.TOPIC, quarantine_topic(f"{agency}."), prefixed, AclOperation.READ),
        (ResourceType.TOPIC, SOURCE_HEARTBEATS, literal, AclOperation.WRITE),
        (ResourceType.GROUP, f"{agency}.", prefixed, AclOperation.READ),
    )
    return [
        AclBinding(kind, name, pattern, f"User:{agency}", _ANY_HOST, operation, AclPermissionType.ALLOW)
        for kind, name, pattern, operation in allowed
    ]


def admit(client: AdminClient, agency: str, password: str) -> None:
    """Lets an agency in by a password, which takes an earlier one's place. Raises BusError."""
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    known = UserScramCredentialUpsertion(agency, how, password.encode())
    try:
        for made in client.create_acls(agency_rules(agency), request_timeout=REQUEST_TIMEOUT_S).values():
            made.result(ANSWER_TIMEOUT_S)
        client.alter_user_scram_credentials([known])[agency].result(ANSWER_TIMEOUT_S)
    except KafkaException as exc:
        raise bus_error(exc, f"the entry of '{agency}'") from exc


def expel(client: AdminClient, agency: str) -> None:
    """Takes an agency's rules and password away: also what is connected may do nothing from now on. Raises BusError."""
    gone = UserScramCredentialDeletion(agency, ScramMechanism.SCRAM_SHA_512)
    try:
        rules: Any = client.delete_acls([_rules_of(f"User:{agency}")])
        for removed in rules.values():
            removed.result(ANSWER_TIMEOUT_S)
        client.alter_user_scram_credentials([gone])[agency].result(ANSWER_TIMEOUT_S)
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
            raise bus_error(exc, f"the removal of '{agency}'") from exc


def principals(client: AdminClient) -> tuple[Principal, ...]:
    """Every name that may enter, with what rules allow it. Raises BusError."""
    try:
        asked: Any = client.describe_user_scram_credentials()
        known = asked.result(ANSWER_TIMEOUT_S)
        rules = client.describe_acls(_rules_of(None)).result(ANSWER_TIMEOUT_S)
    except KafkaException as exc:
        raise bus_error(exc, "the question who may enter") from exc
    return tuple(Principal(name=name, rules=_told(rules, name)) for name in sorted(known))


def _told(rules: Iterable[AclBinding], name: str) -> tuple[str, ...]:
    return tuple(sorted(_words(rule) for rule in rules if rule.principal == f"User:{name}"))


def _words(rule: AclBinding) -> str:
    star = "*" if rule.resource_pattern_type == ResourcePatternType.PREFIXED else ""
    operation, kind = AclOperation(rule.operation), ResourceType(rule.restype)
    return f"{operation.name.lower()} {kind.name.lower()} {rule.name}{star}"


def _rules_of(principal: str | None) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        _ANY,
        ResourcePatternType.ANY,
        principal or _ANY,
        _ANY,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
