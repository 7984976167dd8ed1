import pytest

from consumers.audit.errors import BadCheckpointError
from consumers.audit.notes import Checkpoint, Signer, Verifier, origin_of

CHECKPOINT = Checkpoint(origin=origin_of("bus.example", "records.a.b", 3), size=1200, root=bytes(range(32)))


@pytest.fixture
def signer():
    return Signer.make("bus.example")


def test_a_checkpoint_is_opened_by_whoever_has_the_public_key(signer):
    note = signer.sign(CHECKPOINT)

    assert Verifier(signer.verifier).open(note) == CHECKPOINT
    assert note.startswith("bus.example/records.a.b/3\n1200\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— ")


def test_a_key_comes_back_from_its_file(signer):
    again = Signer.read(signer.secret + "\n")

    assert again.verifier == signer.verifier
    assert again.sign(CHECKPOINT) == signer.sign(CHECKPOINT)


def test_signatures_of_others_beside_the_keepers_are_passed_over(signer):
    witnessed = signer.sign(CHECKPOINT) + "— witness.example Zm9vYmFy\n"
    before = witnessed.replace("\n\n", "\n\n— bus.example/records.a.b/3 Zm9vYmFy\n")

    assert Verifier(signer.verifier).open(witnessed) == Verifier(signer.verifier).open(before) == CHECKPOINT


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("1200", "1201"),
        lambda note: note.replace("AAEC", "AAED"),
        lambda note: note.replace("records.a.b/3", "records.a.b/4"),
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: note.replace("bus.example", "another.example"),
        lambda note: note.replace("\n1200", "\n01200"),
        lambda note: note.replace("\n\n", "\nmore\n\n"),
        lambda note: note.replace("=", ""),
        lambda _: "",
    ],
)
def test_a_note_that_was_changed_anywhere_is_refused(signer, change):
    with pytest.raises(BadCheckpointError):
        Verifier(signer.verifier).open(change(signer.sign(CHECKPOINT)))


def test_a_note_of_another_key_of_the_same_name_is_refused(signer):
    with pytest.raises(BadCheckpointError, match="not signed"):
        Verifier(Signer.make("bus.example").verifier).open(signer.sign(CHECKPOINT))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_a_note_cannot_hold_is_refused(name):
    with pytest.raises(BadCheckpointError, match="name"):
        Signer.make(name)


@pytest.mark.parametrize("text", ["", "bus.example", "bus.example+00000000+AQ==", "{}"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(BadCheckpointError):
        Verifier(text)
    with pytest.raises(BadCheckpointError):
        Signer.read(text)


def test_a_key_with_a_slip_of_the_pen_is_refused(signer):
    with pytest.raises(BadCheckpointError):
        Verifier(signer.verifier.replace("bus.", "bug."))


def test_keys_are_those_of_the_note_package_that_witnesses_use():
    """The example of golang.org/x/mod/sumdb/note."""
    secret = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"

    signer = Signer.read(secret)

    assert signer.secret == secret
    assert signer.verifier == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
