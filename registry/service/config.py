"""The resources `/config` and `/mode`: what is set for all subject names, and for one."""

from dataclasses import replace
from typing import Any

import structlog

from registry.service import errors
from registry.service.bodies import ConfigBody, ModeBody
from registry.service.http import Call
from registry.service.settings import DEFAULT_LEVEL, Mode, level_named, level_of, mode_named, mode_of
from registry.service.store import GLOBAL, Setting, Store, Tables
from registry.service.versions import alive

log = structlog.get_logger()


def get_config(store: Store, call: Call) -> Any:
    """`GET /config` and `GET /config/{subject}`."""
    subject = _subject(call)
    with store.reading() as tables:
        own = tables.setting(subject)
        if subject != GLOBAL and own.compatibility is None and own.normalize is None:
            if not call.says("defaultToGlobal"):
                raise errors.compatibility_not_configured(subject)
            own = tables.setting(GLOBAL)
        return _config_facts(own, str(level_of(tables, subject)))


def put_config(store: Store, call: Call) -> Any:
    """`PUT /config` and `PUT /config/{subject}`: what the body leaves out stays as it is."""
    subject, body = _subject(call), call.body_as(ConfigBody)
    level = level_named(body.compatibility) if body.compatibility else None
    with store.writing() as tables:
        mode_of(tables, subject).check_write(subject or "(global)")
        setting = tables.setting(subject)
        if "compatibility" in body.model_fields_set:
            setting = replace(setting, compatibility=level)
        if "normalize" in body.model_fields_set:
            setting = replace(setting, normalize=body.normalize)
        tables.set_setting(subject, setting)
    log.info("registry_config_set", subject_name=subject, compatibility=setting.compatibility)
    facts = {"compatibility": setting.compatibility, "normalize": setting.normalize}
    return {name: value for name, value in facts.items() if value is not None}


def delete_config(store: Store, call: Call) -> Any:
    """`DELETE /config` and `DELETE /config/{subject}`: answers what was set."""
    subject = _subject(call)
    with store.writing() as tables:
        setting = tables.setting(subject)
        if subject != GLOBAL and setting.compatibility is None and setting.normalize is None:
            raise errors.subject_not_found(subject)
        mode_of(tables, subject).check_write(subject or "(global)")
        tables.set_setting(subject, replace(setting, compatibility=None, normalize=None))
    return _config_facts(setting, str(DEFAULT_LEVEL))


def get_mode(store: Store, call: Call) -> Any:
    """`GET /mode` and `GET /mode/{subject}`."""
    subject = _subject(call)
    with store.reading() as tables:
        if subject != GLOBAL and not call.says("defaultToGlobal") and tables.setting(subject).mode is None:
            raise errors.mode_not_configured(subject)
        return {"mode": mode_of(tables, subject)}


def put_mode(store: Store, call: Call) -> Any:
    """`PUT /mode` and `PUT /mode/{subject}`; IMPORT needs an empty place, or `force`."""
    subject, body = _subject(call), call.body_as(ModeBody)
    mode = mode_named(body.mode)
    with store.writing() as tables:
        if mode is Mode.IMPORT and mode_of(tables, subject) is not Mode.IMPORT and not call.says("force"):
            _clear_for_import(tables, subject)
        tables.set_setting(subject, replace(tables.setting(subject), mode=mode))
    log.info("registry_mode_set", subject_name=subject, mode=mode)
    return {"mode": mode}


def delete_mode(store: Store, call: Call) -> Any:
    """`DELETE /mode` and `DELETE /mode/{subject}`: answers what was set."""
    subject = _subject(call)
    with store.writing() as tables:
        setting = tables.setting(subject)
        if subject != GLOBAL and setting.mode is None:
            raise errors.subject_not_found(subject)
        tables.set_setting(subject, replace(setting, mode=None))
    return {"mode": setting.mode or Mode.READWRITE}


def _clear_for_import(tables: Tables, subject: str) -> None:
    """Makes room for versions that come with their numbers: deleted ones go, others may not be there."""
    versions = tables.versions_below("") if subject == GLOBAL else tables.versions(subject)
    if alive(versions):
        raise errors.not_permitted("Cannot import since found existing subjects")
    for version in versions:
        if tables.users_of(version, with_deleted=True):
            raise errors.reference_exists(version.subject, version.number)
    tables.remove(versions)


def _subject(call: Call) -> str:
    return call.subject if "subject" in call.path else GLOBAL


def _config_facts(setting: Setting, level: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"compatibilityLevel": setting.compatibility or level}
    return facts if setting.normalize is None else facts | {"normalize": setting.normalize}
