from registry.service import cache
from registry.service.cache import FRESH_S, SchemaCache


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_value_is_fresh_for_a_while_and_known_for_longer():
    clock = Clock()
    schemas = SchemaCache(clock)
    schemas.remember(1, "one", size=3)

    assert schemas.fresh(1) == "one"
    clock.now = FRESH_S + 1
    assert schemas.fresh(1) is None
    assert schemas.known(1) == "one"


def test_what_is_forgotten_is_gone():
    schemas = SchemaCache()
    schemas.remember(1, "one", size=3)

    schemas.forget(1)
    schemas.forget(2)

    assert schemas.known(1) is None


def test_the_least_used_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(cache, "ENTRIES_MAX", 2)
    schemas = SchemaCache()
    schemas.remember(1, "one", size=3)
    schemas.remember(2, "two", size=3)
    schemas.fresh(1)

    schemas.remember(3, "three", size=5)

    assert [schemas.known(number) for number in (1, 2, 3)] == ["one", None, "three"]


def test_they_go_when_they_are_too_long_together(monkeypatch):
    monkeypatch.setattr(cache, "CHARACTERS_MAX", 10)
    schemas = SchemaCache()
    schemas.remember(1, "one", size=6)
    schemas.remember(1, "one again", size=6)

    schemas.remember(2, "two", size=6)
    schemas.remember(3, "larger than all", size=11)

    assert [schemas.known(number) for number in (1, 2, 3)] == [None, None, None]
