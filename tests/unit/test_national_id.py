import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import SettingError
from bus.national_id import IdFault, NationalIdError, canonical_national_id, iran_check_digit
from bus.subject import Pseudonymizer

ZEROS = ["0", "۰", "٠", "０"]  # ASCII, Persian, Arabic-Indic, full-width


@st.composite
def iran_ids(draw: st.DrawFn) -> str:
    nine = draw(st.text("0123456789", min_size=9, max_size=9).filter(lambda t: len(set(t)) > 1))
    return nine + str(iran_check_digit(nine))


@given(iran_ids(), st.data())
def test_every_digit_script_folds_to_one_person(national_id, data):
    pseudonymizer = Pseudonymizer(b"k" * 32, "iran")

    typed = "".join(chr(ord(data.draw(st.sampled_from(ZEROS))) + int(digit)) for digit in national_id)

    assert pseudonymizer.subject(typed) == pseudonymizer.subject(national_id)


@given(iran_ids(), st.integers(1, 9))
def test_a_changed_check_digit_is_refused_without_naming_the_id(national_id, step):
    wrong = national_id[:9] + str((int(national_id[9]) + step) % 10)

    with pytest.raises(NationalIdError) as caught:
        canonical_national_id(wrong, "iran")

    assert caught.value.fault is IdFault.WRONG_CHECK_DIGIT
    assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", IdFault.WRONG_LENGTH),
        ("123456789", IdFault.WRONG_LENGTH),
        ("12345678x1", IdFault.NOT_DIGITS),
        ("1111111111", IdFault.WRONG_CHECK_DIGIT),
        ("9" * 1000, IdFault.NOT_DIGITS),
    ],
)
def test_what_is_no_id_is_refused_with_its_fault(text, fault):
    with pytest.raises(NationalIdError) as caught:
        canonical_national_id(text, "iran")

    assert caught.value.fault is fault


def test_a_short_domain_key_is_refused_and_never_shown():
    with pytest.raises(SettingError, match="at least 32"):
        Pseudonymizer(b"short", "iran")

    assert "kkk" not in repr(Pseudonymizer(b"k" * 32, "iran"))
