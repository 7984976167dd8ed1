"""What the service answers when it cannot do what was asked: the error codes of the Confluent API."""

from http import HTTPStatus


class ApiError(Exception):
    """An answer that is an error: the HTTP status, the API's error code and a message for the person who asked."""

    def __init__(self, status: HTTPStatus, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class StoreUnavailableError(Exception):
    """PostgreSQL does not answer; the same call may go through later."""


def no_such_resource(status: HTTPStatus = HTTPStatus.NOT_FOUND) -> ApiError:
    """The path leads nowhere, or not with this method."""
    return ApiError(status, status.value, f"HTTP {status.value} {status.phrase}")


def subject_not_found(subject: str) -> ApiError:
    """No schema is registered under the subject name."""
    return ApiError(HTTPStatus.NOT_FOUND, 40401, f"Subject '{subject}' not found.")


def version_not_found(version: int) -> ApiError:
    """The subject name has no such version."""
    return ApiError(HTTPStatus.NOT_FOUND, 40402, f"Version {version} not found.")


def schema_not_found(wanted: int | str | None = None) -> ApiError:
    """No schema has the id, or the one that was sent is not registered."""
    return ApiError(HTTPStatus.NOT_FOUND, 40403, "Schema not found" if wanted is None else f"Schema {wanted} not found")


def subject_soft_deleted(subject: str) -> ApiError:
    """The subject name is deleted already; only a permanent delete is left."""
    return ApiError(
        HTTPStatus.NOT_FOUND, 40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
    )


def subject_not_soft_deleted(subject: str) -> ApiError:
    """A permanent delete comes after a delete."""
    return ApiError(
        HTTPStatus.NOT_FOUND, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted"
    )


def version_soft_deleted(subject: str, version: int) -> ApiError:
    """The version is deleted already; only a permanent delete is left."""
    return ApiError(
        HTTPStatus.NOT_FOUND,
        40406,
        f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently",
    )


def version_not_soft_deleted(subject: str, version: int) -> ApiError:
    """A permanent delete comes after a delete."""
    return ApiError(
        HTTPStatus.NOT_FOUND,
        40407,
        f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted",
    )


def compatibility_not_configured(subject: str) -> ApiError:
    """The subject name has no compatibility level of its own."""
    return ApiError(
        HTTPStatus.NOT_FOUND, 40408, f"Subject '{subject}' does not have subject-level compatibility configured"
    )


def mode_not_configured(subject: str) -> ApiError:
    """The subject name has no mode of its own."""
    return ApiError(HTTPStatus.NOT_FOUND, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, details: str) -> ApiError:
    """The schema may not follow the earlier ones."""
    return ApiError(
        HTTPStatus.CONFLICT,
        409,
        f'Schema being registered is incompatible with an earlier schema for subject "{subject}", details: {details}',
    )


def malformed(message: str) -> ApiError:
    """The request's body is not what the API takes."""
    return ApiError(HTTPStatus.BAD_REQUEST, 400, message)


def invalid_schema(message: str) -> ApiError:
    """The schema, its type or its references are wrong."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42201, message)


def invalid_version(version: str) -> ApiError:
    """The version is neither a positive number nor `latest`."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        42202,
        f"The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] "
        'and the string "latest"',
    )


def invalid_compatibility(allowed: str) -> ApiError:
    """The compatibility level does not exist."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42203, f"Invalid compatibility level. Valid values are {allowed}")


def invalid_mode(allowed: str) -> ApiError:
    """The mode does not exist."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42204, f"Invalid mode. Valid values are {allowed}")


def not_permitted(message: str) -> ApiError:
    """The mode forbids the operation."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42205, message)


def reference_exists(subject: str, version: int) -> ApiError:
    """Another schema uses this version's names."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        42206,
        f"One or more references exist to the schema {{subject={subject},version={version}}}.",
    )


def invalid_subject(subject: str) -> ApiError:
    """The subject name cannot be one."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY, 42208, f"The specified subject {subject!a} is not a valid subject."
    )


def schema_too_large(message: str) -> ApiError:
    """The schema is longer than the service takes."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42209, message)


def invalid_rule_set() -> ApiError:
    """Data rules would have to be applied by every reader and writer; the service does not keep them."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, 42210, "Rule sets are not supported: send the schema without one")


def store_unavailable(message: str) -> ApiError:
    """PostgreSQL does not answer."""
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, 50001, message)
