import pytest

from consumers.evidence.labels import in_language, language


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (b"", "en"),
        (b"fa", "fa"),
        (b"fa-IR,fa;q=0.9,en;q=0.5", "fa"),
        (b"en;q=0.2, fa;q=0.7", "fa"),
        (b"de, fa;q=0.1", "fa"),
        (b"fa;q=0, en;q=0.1", "en"),
        (b"de-DE,de", "en"),
        (b"fantasy", "en"),
        (b"fa;q=x,en", "en"),
        (b"FA", "fa"),
        (b"\xff;q=1," * 1_000 + b"fa", "en"),
    ],
)
def test_the_language_that_a_caller_prefers_is_chosen(accepted, chosen):
    assert language(accepted) == chosen


def test_a_label_without_the_language_is_told_in_english():
    assert in_language({"en": "Tax"}, "fa") == "Tax"
    assert in_language({}, "fa") == ""
