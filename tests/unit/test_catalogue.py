import shutil
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.national_id import SCHEMES
from registry.catalogue import check_catalogue, load_catalogue
from registry.catalogue_files import DEPTH_MAX, FILE_BYTES_MAX
from registry.composition import event_schema
from registry.contracts import NATIONAL_ID_SCHEMES, Classification, Per, Severity
from registry.errors import CatalogueError

PROFILE = Path(str(files("schemas")))
NATION = {
    "nation.yaml": """\
title: {en: Small island, fa: جزیرهٔ کوچک, mi: Motu iti}
national_id_scheme: luhn
""",
    "agencies.yaml": """\
harbour:
  title: {en: Harbour office, fa: ادارهٔ بندر}
""",
    "records/harbour/boat.yaml": """\
title: {en: Boat, fa: قایق}
record_key_field: boat_number
freshness: P1W
heartbeat: PT1H30M
fields:
  boat_number:
    title: {en: Number, fa: شماره}
    classification: public
  kind:
    title: {en: Kind, fa: نوع}
    classification: public
  length_m:
    title: {en: Length, fa: طول}
    classification: personal
rules:
  length-positive:
    field: length_m
    check: length_m > 0
    severity: refuse
""",
    "records/harbour/boat.avsc": """\
{
  "type": "record",
  "name": "Boat",
  "fields": [
    {"name": "boat_number", "type": "string", "doc": "Number on the bow."},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["sail", "motor"]}, "doc": "Kind."},
    {"name": "length_m", "type": ["null", "int"], "default": null, "doc": "Length in metres."}
  ]
}
""",
    "records/harbour/licence.yaml": """\
title: {en: Licence, fa: پروانه}
freshness: P1D
heartbeat: PT1H
fields:
  until:
    title: {en: Valid until, fa: معتبر تا}
    classification: personal
""",
    "records/harbour/licence.avsc": """\
{
  "type": "record",
  "name": "Licence",
  "namespace": "harbour",
  "fields": [
    {"name": "until", "type": {"type": "int", "logicalType": "date"}, "doc": "Last day."}
  ]
}
""",
    "evidence/boats.yaml": """\
title: {en: Boats, fa: قایق‌ها}
provider: harbour
per: person
views:
  boat: harbour.boat
claims:
  boat_count:
    title: {en: How many, fa: تعداد}
    sql: count(*)
  longest_m:
    title: {en: Longest, fa: بلندترین}
    sql: max(boat.length_m)
proven_when: boat_count > 0
""",
    "evidence/sailing-boat.yaml": """\
title: {en: Sailing boat, fa: قایق بادبانی}
provider: harbour
per: record
views:
  boat: harbour.boat
  licence: harbour.licence
claims:
  sails:
    title: {en: Sails, fa: بادبان دارد}
    sql: boat.kind = 'sail' AND licence.until > DATE '2020-01-01'
proven_when: sails
""",
    "procedures/mooring.yaml": """\
title: {en: Mooring, fa: پهلوگیری}
agency: harbour
legal_basis: Harbour Act
requirements:
  boats:
    title: {en: A boat, fa: یک قایق}
    evidence:
      - [boats, sailing-boat]
      - [sailing-boat]
""",
    "agreements/harbour/mooring.boats.yaml": """\
provider: harbour
evidence_type: boats
procedure: mooring
purpose: give a place
legal_basis: Harbour Act
claims: [boat_count]
age_max: P2W
persons_per_hour: 10
valid_from: 2026-01-01
valid_until: 2027-01-01
demands_case_reference: false
demands_acting_user: true
accepted_by_provider: true
accepted_by_requester: false
""",
}


@pytest.fixture
def nation(tmp_path):
    return write(tmp_path)


def write(folder):
    for name, text in NATION.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder


def corrupt(folder, name, old, new):
    """Replaces the first `old` in a file; the line where it began."""
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def told(folder):
    return [str(mistake).replace(f"{folder}/", "") for mistake in check_catalogue(folder)]


def is_persian(text):
    return any("؀" <= letter <= "ۿ" for letter in text)


def test_the_shipped_profile_has_no_mistake():
    assert check_catalogue(None) == ()


def test_the_shipped_profile_has_what_the_programme_needs():
    catalogue = load_catalogue(None)

    assert catalogue.national_id_scheme == "iran"
    assert (len(catalogue.agencies), len(catalogue.record_types), len(catalogue.procedures)) == (9, 14, 5)
    assert all(event_schema(record_type) for record_type in catalogue.record_types.values())
    assert all(record_type.rules for record_type in catalogue.record_types.values())


def test_every_label_of_the_shipped_profile_is_persian_where_it_says_so():
    catalogue = load_catalogue(None)
    titled = [
        *catalogue.agencies.values(),
        *catalogue.record_types.values(),
        *(field for record_type in catalogue.record_types.values() for field in record_type.fields),
        *catalogue.evidence_types.values(),
        *(claim for evidence_type in catalogue.evidence_types.values() for claim in evidence_type.claims),
        *catalogue.procedures.values(),
        *(one for procedure in catalogue.procedures.values() for one in procedure.requirements),
    ]

    assert [thing for thing in titled if not is_persian(thing.title["fa"]) or is_persian(thing.title["en"])] == []


def test_all_procedures_of_the_shipped_profile_but_one_are_permitted_in_full():
    catalogue = load_catalogue(None)
    in_force = {
        (agreement.procedure, agreement.evidence_type)
        for agreement in catalogue.agreements.values()
        if agreement.accepted_by_provider and agreement.accepted_by_requester
    }

    lacking = {
        procedure.id
        for procedure in catalogue.procedures.values()
        for requirement in procedure.requirements
        if not any(all((procedure.id, name) in in_force for name in names) for names in requirement.evidence_lists)
    }

    assert len(lacking) == 1


def test_another_nation_loads_from_its_own_folder(nation):
    catalogue = load_catalogue(nation)

    boat = catalogue.record_types["harbour.boat"]
    boats = catalogue.evidence_types["boats"]
    agreement = catalogue.agreements["mooring.boats"]
    assert catalogue.title["mi"] == "Motu iti"
    assert (boat.record_key_field, boat.freshness, boat.heartbeat) == (
        "boat_number",
        timedelta(weeks=1),
        timedelta(minutes=90),
    )
    assert [field.classification for field in boat.fields] == [Classification.PUBLIC] * 2 + [Classification.PERSONAL]
    assert [rule.severity for rule in boat.rules] == [Severity.REFUSE]
    assert (boats.per, boats.proven_when) == (Per.PERSON, '"boat_count" > 0')
    assert list(catalogue.evidence_types["sailing-boat"].views) == ["boat", "licence"]
    assert catalogue.procedures["mooring"].requirements[0].evidence_lists == (
        ("boats", "sailing-boat"),
        ("sailing-boat",),
    )
    assert (agreement.requester, agreement.age_max, agreement.valid_until) == (
        "harbour",
        timedelta(weeks=2),
        date(2027, 1, 1),
    )


def test_the_schemes_of_national_ids_are_those_that_the_bus_knows():
    assert set(NATIONAL_ID_SCHEMES) == set(SCHEMES)


BOAT, BODY = "records/harbour/boat.yaml", "records/harbour/boat.avsc"
BOATS, SAILING = "evidence/boats.yaml", "evidence/sailing-boat.yaml"
MOORING, AGREEMENT = "procedures/mooring.yaml", "agreements/harbour/mooring.boats.yaml"


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ("{field: length_m, severity: flag}", "rules.length-positive.check", "or 'known_in'"),
        ("{field: length_m, severity: refuse, known_in: harbour.licence}", "rules.length-positive.severity", "be flag"),
        ("{field: length_m, severity: flag, known_in: ''}", "rules.length-positive.known_in", "blank"),
    ],
)
def test_a_rule_across_registers_is_checked_where_it_stands(nation, rule, field, message):
    whole = (nation / BOAT).read_text(encoding="utf-8")
    start = whole.partition("rules:")[0]
    (nation / BOAT).write_text(f"{start}rules:\n  length-positive: {rule}\n", encoding="utf-8")

    (mistake,) = check_catalogue(nation)

    assert (mistake.line, mistake.field) == (start.count("\n") + 2, field)
    assert message in mistake.message


def test_a_rule_across_registers_says_which_one_must_know_the_person(nation):
    rule = "{field: length_m, severity: flag, known_in: harbour.licence}"
    start = (nation / BOAT).read_text(encoding="utf-8").partition("rules:")[0]
    (nation / BOAT).write_text(f"{start}rules:\n  length-positive: {rule}\n", encoding="utf-8")

    (found,) = load_catalogue(nation).record_types["harbour.boat"].rules_across

    assert (found.known_in, found.severity, found.check) == ("harbour.licence", Severity.FLAG, "")


@pytest.mark.parametrize(
    ("name", "old", "new", "field", "message"),
    [
        ("nation.yaml", "luhn", "luna", "national_id_scheme", "did you mean 'luhn'?"),
        ("nation.yaml", "national_id_scheme: luhn", "national_id_scheme:", "national_id_scheme", "is missing"),
        ("nation.yaml", "fa: جزیرهٔ کوچک, ", "", "title", "the label in 'fa' is missing"),
        ("nation.yaml", "Small island", "''", "title.en", "blank"),
        ("agencies.yaml", "harbour:", "Harbour_1:", "Harbour_1", "write it so"),
        ("agencies.yaml", "title", "titel", "harbour.titel", "did you mean 'title'?"),
        (BOAT, "record_key_field: boat_number", "record_key_field: number", "record_key_field", "'boat_number'?"),
        (BOAT, "record_key_field: boat_number", "record_key_field: kind", "record_key_field", "is no string"),
        (BOAT, "P1W", "P1M", "freshness", "no duration"),
        (BOAT, "P1W", "7", "freshness", "no duration"),
        (BOAT, "PT1H30M", "P2W", "heartbeat", "longer than the freshness"),
        (BOAT, "classification: public", "classification: publik", "fields.boat_number.classification", "'public'?"),
        (BOAT, "classification: public", "classification: [public]", "fields.boat_number.classification", "a list"),
        (BOAT, "  kind:", "  kin:", "fields.kin", "did you mean 'kind'?"),
        (BOAT, "fields:", "felder:", "felder", "did you mean 'fields'?"),
        (BOAT, "field: length_m", "field: length", "rules.length-positive.field", "'length_m'?"),
        (BOAT, "check: length_m > 0", "check: length > 0", "rules.length-positive.check", "'length_m'?"),
        (BOAT, "check: length_m > 0", "check: length_m >", "rules.length-positive.check", "no SQL expression"),
        (BOAT, "check: length_m > 0", "check: length_m + 1", "rules.length-positive.check", "not true or false"),
        (BOAT, "check: length_m > 0", "check: kind = 'sial'", "rules.length-positive.check", "did you mean 'sail'?"),
        (BOAT, "check: length_m > 0", "check: sum(length_m) > 0", "rules.length-positive.check", "many records"),
        (BOAT, "check: length_m > 0", "check: length_m > 'a'", "rules.length-positive.check", "both of one kind"),
        (BOAT, "check: length_m > 0", "check: 5", "rules.length-positive.check", "must be text"),
        (
            BOAT,
            "check: length_m > 0",
            "known_in: harbour.licens",
            "rules.length-positive.known_in",
            "'harbour.licence'?",
        ),
        (BOAT, "check: length_m > 0", "known_in: harbour.boat", "rules.length-positive.known_in", "itself"),
        (
            BOAT,
            "check: length_m > 0",
            "check: length_m > 0\n    known_in: harbour.licence",
            "rules.length-positive.check",
            "a rule for each",
        ),
        (BOAT, "severity: refuse", "severity: fatal", "rules.length-positive.severity", "'flag', 'refuse'"),
        (BOAT, "severity: refuse", "severity: refuse\n    severity: flag", "", "twice"),
        (BODY, '"Boat"', '"Ship"', "name", "must be 'Boat'"),
        (BODY, '"type": "string"', '"type": "float"', "fields.boat_number", "which contracts may not use"),
        (BODY, ', "doc": "Number on the bow."', "", "fields.boat_number", "has no doc"),
        (BODY, '"default": null, ', "", "fields.length_m", 'write "default": null'),
        (BODY, '"motor"', '"out board"', "fields.kind", "no Avro name"),
        (BODY, '"motor"', '"sail"', "fields.kind", "a symbol twice"),
        (BODY, '{"name": "boat_number"', '{"name": "position"', "fields.position", "that the bus itself uses"),
        (BODY, '{"name": "boat_number"', '{"name": "subject"', "fields.subject", "that the bus itself uses"),
        (BODY, '{"name": "boat_number"', '{"name": "boatNumber"', "fields.boatNumber", "cannot name a body field"),
        (BODY, '{"name": "kind"', '{"name": "boat_number"', "fields.1", "another field 'boat_number'"),
        (BODY, '{"name": "boat_number", ', "{", "fields.0", "must be an object"),
        (BODY, '"name": "Boat",', '"name" "Boat",', "", "is no JSON"),
        (BOATS, "provider: harbour", "provider: harbor", "provider", "did you mean 'harbour'?"),
        (BOATS, "per: person", "per: persons", "per", "did you mean 'person'?"),
        (BOATS, "boat: harbour.boat", "boat: harbour.boot", "views.boat", "did you mean 'harbour.boat'?"),
        (BOATS, "views:\n", "views:\n  it: harbour.licence\n", "views", "takes one view"),
        (BOATS, "sql: count(*)", "sql: boat.length_m", "claims.boat_count.sql", "one record among many"),
        (BOATS, "sql: count(*)", "sql: count(ship.kind)", "claims.boat_count.sql", "no view 'ship'"),
        (BOATS, "sql: count(*)", "sql: (select 1)", "claims.boat_count.sql", "no query"),
        (BOATS, "boat_count > 0", "boat_cont > 0", "proven_when", "did you mean 'boat_count'?"),
        (BOATS, "boat_count > 0", "boat_count", "proven_when", "not true or false"),
        (SAILING, "sql: boat.kind", "sql: kind", "claims.sails.sql", "write 'boat.kind'"),
        (SAILING, "sql: boat.kind", "sql: max(boat.kind)", "claims.sails.sql", "per: person"),
        (SAILING, "2020-01-01'", "2020-02-31'", "claims.sails.sql", "no such day"),
        (MOORING, "agency: harbour", "agency: port", "agency", "there is no agency 'port'"),
        (MOORING, "[boats, ", "[boat, ", "requirements.boats.evidence.0.0", "did you mean 'boats'?"),
        (MOORING, "[boats, sailing-boat]", "[]", "requirements.boats.evidence.0", "the list is empty"),
        (MOORING, "[boats, sailing-boat]", "boats", "requirements.boats.evidence.0", "must be a list"),
        (MOORING, "[boats, sailing-boat]", "[boats, boats]", "requirements.boats.evidence.0.1", "twice"),
        (MOORING, "legal_basis: Harbour Act", "legal_basis: 1990", "legal_basis", "write it in quotes"),
        (AGREEMENT, "evidence_type: boats", "evidence_type: boot", "evidence_type", "there is no evidence type"),
        (AGREEMENT, "procedure: mooring", "procedure: moor", "procedure", "did you mean 'mooring'?"),
        (AGREEMENT, "[boat_count]", "[boat_counts]", "claims.0", "did you mean 'boat_count'?"),
        (AGREEMENT, "[boat_count]", "[~]", "claims.0", "must be a name"),
        (AGREEMENT, "age_max: P2W", "age_max: P1D", "age_max", "freshness that 'harbour.boat' promises"),
        (AGREEMENT, "persons_per_hour: 10", "persons_per_hour: -1", "persons_per_hour", "above zero"),
        (AGREEMENT, "valid_from: 2026-01-01", "valid_from: 2026-13-01", "valid_from", "is no day"),
        (AGREEMENT, "valid_until: 2027-01-01", "valid_until: 2025-01-01", "valid_until", "not after valid_from"),
        (AGREEMENT, "demands_acting_user: true", "demands_acting_user: yes", "demands_acting_user", "true or false"),
        (AGREEMENT, "purpose: give a place\n", "", "purpose", "is missing"),
    ],
)
def test_a_mistake_names_its_file_its_line_and_its_field(nation, name, old, new, field, message):
    line = corrupt(nation, name, old, new)

    mistakes = check_catalogue(nation)

    here = [one for one in mistakes if one.file == f"{nation}/{name}" and message in one.message]
    is_left_out = "is missing" in message and new == ""
    lines = {1} if is_left_out else {line, line + new.count("\n")}
    assert [one for one in here if one.line in lines and (not field or one.field == field)], mistakes
    if field:
        assert len(here) == 1


def places(folder):
    """Every value of every YAML file that stands behind its key on one line."""
    for path in sorted(folder.rglob("*.yaml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            key, colon, value = line.partition(": ")
            if colon and value != ">-" and not key.strip().startswith("-"):
                yield str(path.relative_to(folder)), number, key


def test_no_value_anywhere_may_become_something_else_unseen(nation):
    unseen = []
    for name, number, key in places(nation):
        lines = NATION[name].splitlines()
        lines[number - 1] = f"{key}: {{strange: [1]}}"
        (nation / name).write_text("\n".join(lines), encoding="utf-8")
        if not any(one.file.endswith(name) and one.line == number for one in check_catalogue(nation)):
            unseen.append((name, number))
        (nation / name).write_text(NATION[name], encoding="utf-8")

    assert unseen == []


@pytest.fixture(scope="module")
def copied_profile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile") / "schemas"
    shutil.copytree(PROFILE, folder, ignore=shutil.ignore_patterns("__*"))
    return folder


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_unknown_key_is_told_wherever_it_stands_in_the_shipped_profile(copied_profile, data):
    name, number, key = data.draw(st.sampled_from(list(places(copied_profile))))
    path = copied_profile / name
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    lines.insert(number - 1, key[: len(key) - len(key.lstrip())] + "Strange_Key: 1")

    path.write_text("\n".join(lines), encoding="utf-8")
    mistakes = check_catalogue(copied_profile)
    path.write_text(text, encoding="utf-8")

    assert [(one.file, one.line) for one in mistakes if "Strange_Key" in one.message] == [(str(path), number)]


def test_all_mistakes_are_told_at_once_in_the_order_of_files_and_lines(nation):
    corrupt(nation, BOAT, "P1W", "soon")
    corrupt(nation, BOAT, "severity: refuse", "severity: fatal")
    corrupt(nation, BODY, '"doc": "Kind."', '"doc": ""')
    corrupt(nation, AGREEMENT, "provider: harbour", "provider: nobody")
    corrupt(nation, AGREEMENT, "persons_per_hour: 10", "persons_per_hour: many")

    mistakes = check_catalogue(nation)

    assert len(mistakes) == 6  # the provider is unknown, and not that of the evidence type
    assert list(mistakes) == sorted(mistakes)


def test_a_broken_part_does_not_make_the_parts_that_name_it_wrong(nation):
    (nation / BODY).write_text("{", encoding="utf-8")
    (nation / BOATS).write_text("claims: [", encoding="utf-8")

    assert {mistake.file for mistake in check_catalogue(nation)} == {f"{nation}/{BODY}", f"{nation}/{BOATS}"}


def test_loading_a_catalogue_with_mistakes_raises_them_all(nation):
    corrupt(nation, BOAT, "P1W", "soon")

    with pytest.raises(CatalogueError) as raised:
        load_catalogue(nation)

    assert raised.value.mistakes == check_catalogue(nation)
    assert raised.value.exit_code == 65


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("harbour: &it {title: {en: A, fa: ا}}\nother: *it\n", "the alias '*it' is not taken here"),
        ("harbour: !!python/object/apply:os.getcwd []\n", "the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd'"),
        ("harbour: !secret x\n", "the tag '!secret'"),
        ("a: " * (DEPTH_MAX + 1), "is no YAML"),
        ("a: " + "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "deeper than"),
        ("[" * 100_000, "is no YAML"),
        ("# " + "x" * FILE_BYTES_MAX, "larger than"),
        ("- harbour\n", "no mapping"),
        ("", "no mapping"),
        ("{}", "there is no agency"),
        ("a: 1\n---\nb: 1\n", "is no YAML"),
        ("harbour: {title: {en: A, fa: ا}}\nharbour: {title: {en: B, fa: ب}}\n", "is there twice"),
        ("1: {title: {en: A, fa: ا}}\n", "write it in quotes"),
        ("a: \0", "is no YAML"),
    ],
)
def test_a_file_that_is_unsafe_or_unreadable_is_refused(nation, content, message):
    (nation / "agencies.yaml").write_text(content, encoding="utf-8")

    assert [mistake for mistake in check_catalogue(nation) if message in mistake.message]


def test_a_file_that_is_not_utf_8_is_told_with_its_line(nation):
    (nation / BOATS).write_bytes(b"title: x\nprovider: \xff\n")

    assert told(nation) == [f"{BOATS}:2: the file is not UTF-8; save it so"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("record/x.yaml", "record:1: has no place here; did you mean 'records'?"),
        ("nation.yml", "nation.yml:1: has no place here; did you mean 'nation.yaml'?"),
        ("records/port/pier.yaml", "records/port:1: there is no agency 'port'; known are 'harbour'"),
        ("records/harbour/Boat_2.yaml", "records/harbour/Boat_2.yaml:1: 'harbour.Boat_2' is no record type id"),
        ("records/harbour/boat.json", "records/harbour/boat.json:1: has no place here"),
        ("records/pier.yaml", "records/pier.yaml:1: is not in an agency's folder"),
        ("evidence/more/x.yaml", "evidence/more:1: has no place here"),
        ("evidence/Boats.yaml", "evidence/Boats.yaml:1: 'Boats' is no id"),
        ("agreements/mooring.yaml", "agreements/mooring.yaml:1: is not in a requester's folder"),
        ("agreements/port/mooring.boats.yaml", "agreements/port/mooring.boats.yaml:1: there is another agreement"),
    ],
)
def test_a_file_in_the_wrong_place_is_told(nation, name, message):
    (nation / name).parent.mkdir(parents=True, exist_ok=True)
    (nation / name).write_text("{}", encoding="utf-8")

    assert [line for line in told(nation) if line.startswith(message)]


@pytest.mark.parametrize("name", [BODY, BOAT, "nation.yaml", "agencies.yaml"])
def test_a_missing_file_is_told(nation, name):
    (nation / name).unlink()

    assert f"{name}:1: there is no such file; write it" in told(nation)


def test_a_missing_folder_is_one_mistake(tmp_path):
    (mistake,) = check_catalogue(tmp_path / "nowhere")

    assert "there is no such folder" in mistake.message


def test_an_empty_folder_is_one_mistake(tmp_path):
    (mistake,) = check_catalogue(tmp_path)

    assert "the folder holds no catalogue" in mistake.message


def test_a_provider_may_not_tell_what_another_agency_keeps(nation):
    corrupt(nation, "agencies.yaml", "harbour:", "port:\n  title: {en: Port, fa: بندر}\nharbour:")
    corrupt(nation, BOATS, "provider: harbour", "provider: port")

    assert f"{BOATS}:5: views.boat: 'harbour.boat' is kept by 'harbour', who would not be asked" in "".join(
        told(nation)
    )


def test_only_the_first_view_may_hold_several_records_a_person(nation):
    corrupt(
        nation,
        SAILING,
        "  boat: harbour.boat\n  licence: harbour.licence",
        "  licence: harbour.licence\n  boat: harbour.boat",
    )

    assert [
        line for line in told(nation) if line.startswith(f"{SAILING}:6: views.boat: 'harbour.boat' may hold several")
    ]


def test_an_agreement_is_the_requesters_whose_procedure_it_is(nation):
    corrupt(nation, "agencies.yaml", "harbour:", "port:\n  title: {en: Port, fa: بندر}\nharbour:")
    corrupt(nation, MOORING, "agency: harbour", "agency: port")

    assert [
        line
        for line in told(nation)
        if line.startswith(f"{AGREEMENT}:3: procedure: 'mooring' is a procedure of 'port'")
    ]


def test_an_agreement_is_on_evidence_that_its_procedure_requires(nation):
    corrupt(nation, MOORING, "[boats, sailing-boat]", "[sailing-boat]")

    assert told(nation) == [
        f"{AGREEMENT}:2: evidence_type: 'mooring' does not require 'boats'; known are 'sailing-boat'"
    ]


def test_two_agreements_may_follow_but_not_overlap_each_other(nation):
    later = NATION[AGREEMENT].replace("2027", "2028").replace("2026", "2027")
    place = nation / "agreements/harbour/mooring.boats-2.yaml"

    place.write_text(later, encoding="utf-8")
    assert told(nation) == []

    place.write_text(later.replace("2027-01-01", "2026-12-31"), encoding="utf-8")
    assert [line for line in told(nation) if "mooring.boats-2' is on the same evidence type and procedure" in line]
