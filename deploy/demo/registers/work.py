"""The truth of work: employments and what insures against their loss, trades learnt, cooperatives."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from deploy.demo.nation import INVOLUNTARY, MONTH_DAYS, Job, Nation
from deploy.demo.truth import Spell

EMPLOYMENT = "labour-relations.employment"
UNEMPLOYMENT_BENEFIT = "labour-relations.unemployment-benefit"
INSURANCE_COVERAGE = "social-security.insurance-coverage"
SKILLS_CERTIFICATE = "vocational-training.skills-certificate"
MEMBERSHIP = "cooperatives.membership"


def employments(nation: Nation, _: Random) -> Iterator[Spell]:
    """Each job is active from its first day, and ended from its last."""
    for job in nation.jobs:
        yield _employment(job, job.started_on, ended=False)
        if job.ended_on is not None:
            yield _employment(job, job.ended_on, ended=True)


def _employment(job: Job, day: date, *, ended: bool) -> Spell:
    return Spell(
        record_type=EMPLOYMENT,
        national_id=job.person.national_id,
        record_key=job.number,
        effective_from=day,
        body={
            "employment_number": job.number,
            "employer_name": job.employer,
            "occupation_code": job.occupation_code,
            "contract_kind": job.contract_kind,
            "status": "ended" if ended else "active",
            "ended_on": job.ended_on if ended else None,
            "end_reason": job.end_reason if ended else None,
            "monthly_wage_rials": job.monthly_rials,
        },
    )


def unemployment_benefits(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Some who lost a job got the benefit for some months; the last grant is the one that counts."""
    granted_until: dict[str, date] = {}
    for job in nation.jobs:
        if job.end_reason not in INVOLUNTARY or job.ended_on is None or chance.random() > 0.3:
            continue
        start = job.ended_on + timedelta(days=chance.randrange(10, 40))
        if start >= nation.today or start <= granted_until.get(job.person.national_id, date.min):
            continue
        months = chance.randrange(3, 13)
        end = start + timedelta(days=months * MONTH_DAYS)
        granted_until[job.person.national_id] = end
        for status, day in (("granted", start), ("ended", end)):
            if day <= nation.today:
                yield Spell(
                    record_type=UNEMPLOYMENT_BENEFIT,
                    national_id=job.person.national_id,
                    effective_from=day,
                    body={
                        "status": status,
                        "months_granted": months,
                        "monthly_amount_rials": job.monthly_rials * 55 // 100,
                    },
                )


def insurance_coverages(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Who works is insured, with months that add up; some who do not work insure themselves."""
    careers: dict[str, list[Job]] = defaultdict(list)
    for job in nation.jobs:
        if job.started_on <= nation.today:
            careers[job.person.national_id].append(job)
    for person, place in nation.homes:
        branch = f"{place.province_code}{chance.randrange(1, 10)}"
        paid = 0
        for job in careers[person.national_id]:
            yield _coverage(person.national_id, job.started_on, "mandatory", paid, branch)
            paid += job.months_until(nation.today)
            if job.ended_on is not None:
                yield _coverage(person.national_id, job.ended_on, "none", paid, branch)
        if not careers[person.national_id] and chance.random() < 0.1 and person.years_on(nation.today) > 25:
            months = chance.randrange(1, 60)
            since = nation.today - timedelta(days=months * MONTH_DAYS)
            if person.is_alive_on(since) and person.deceased_on is None:
                yield _coverage(person.national_id, since, "voluntary", months, branch)


def _coverage(national_id: str, day: date, kind: str, months: int, branch: str) -> Spell:
    return Spell(
        record_type=INSURANCE_COVERAGE,
        national_id=national_id,
        effective_from=day,
        body={
            "coverage_kind": kind,
            "premium_months": months,
            "branch_code": branch,
            "last_premium_on": day if months else None,
        },
    )


def skills_certificates(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Some adults learnt a trade or two."""
    count = 0
    for person in nation.adults():
        for skill in chance.sample(nation.vocabulary.skills, chance.choices((0, 1, 2), (75, 20, 5))[0]):
            count += 1
            issued = nation.today - timedelta(days=chance.randrange(1, 3000))
            number = f"C-{count:06}"
            yield Spell(
                record_type=SKILLS_CERTIFICATE,
                national_id=person.national_id,
                record_key=number,
                effective_from=issued,
                effective_to=issued + timedelta(days=10 * 365),
                body={
                    "certificate_number": number,
                    "skill_code": skill.code,
                    "skill_title": skill.title,
                    "grade": chance.randrange(1, 4),
                    "issued_on": issued,
                },
            )


def memberships(nation: Nation, chance: Random) -> Iterator[Spell]:
    """Some adults are members of a cooperative, and a few lead it; some have left it."""
    names = nation.vocabulary.cooperatives
    for person in nation.adults():
        if chance.random() > 0.15:
            continue
        number = chance.randrange(len(names))
        joined = nation.today - timedelta(days=chance.randrange(30, 3000))
        left = joined + timedelta(days=chance.randrange(20, 2000)) if chance.random() < 0.15 else None
        key = f"K-{number + 1:04}"
        yield Spell(
            record_type=MEMBERSHIP,
            national_id=person.national_id,
            record_key=key,
            effective_from=joined,
            effective_to=left if left is not None and left < nation.today else None,
            body={
                "cooperative_number": key,
                "cooperative_name": names[number],
                "role": chance.choices(("member", "board", "managing_director"), (90, 8, 2))[0],
                "share_count": chance.randrange(1, 200),
            },
        )
