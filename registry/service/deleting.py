"""Deletes versions and subject names: first so that they can be seen by who asks for deleted ones, then for ever.

An id stays with its schema also then: registered again, the schema gets it back, and what was written with it can be
read again.
"""

import structlog

from registry.service import errors
from registry.service.settings import mode_of
from registry.service.store import Setting, Store, Tables, Version
from registry.service.versions import alive, chosen

log = structlog.get_logger()


def delete_subject(store: Store, subject: str, *, is_permanent: bool) -> tuple[int, ...]:
    """The numbers of the versions that were deleted. Raises ApiError."""
    with store.writing() as tables:
        versions = tables.versions(subject)
        if not versions:
            raise errors.subject_not_found(subject)
        mode_of(tables, subject).check_write(subject)
        if not is_permanent:
            versions = alive(versions)
            if not versions:
                raise errors.subject_soft_deleted(subject)
        for version in versions:
            users = tables.users_of(version, with_deleted=is_permanent)
            if any(user.subject != subject for user in users):
                raise errors.reference_exists(subject, version.number)
        if is_permanent and alive(versions):
            raise errors.subject_not_soft_deleted(subject)
        _delete(tables, versions, is_permanent=is_permanent)
    numbers = tuple(version.number for version in versions)
    log.info("subject_deleted", subject_name=subject, versions=numbers, is_permanent=is_permanent)
    return numbers


def delete_version(store: Store, subject: str, number: int, *, is_permanent: bool) -> int:
    """The number of the version that was deleted. Raises ApiError."""
    with store.writing() as tables:
        version = chosen(tables.versions(subject), subject, number, with_deleted=True)
        if version.is_deleted and not is_permanent:
            raise errors.version_soft_deleted(subject, version.number)
        mode_of(tables, subject).check_write(subject)
        if tables.users_of(version, with_deleted=is_permanent):
            raise errors.reference_exists(subject, version.number)
        if is_permanent and not version.is_deleted:
            raise errors.version_not_soft_deleted(subject, version.number)
        _delete(tables, (version,), is_permanent=is_permanent)
    log.info("schema_version_deleted", subject_name=subject, version=version.number, is_permanent=is_permanent)
    return version.number


def _delete(tables: Tables, versions: tuple[Version, ...], *, is_permanent: bool) -> None:
    if not is_permanent:
        tables.mark_deleted(versions)
        return
    tables.remove(versions)
    subject = versions[0].subject
    if not tables.versions(subject):
        tables.set_setting(subject, Setting())
