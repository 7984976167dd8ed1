"""The evidence API's job as a plain FastAPI and SQLAlchemy service does it: each request a session from a pool.

It is what the evidence API is measured beside, written as one would write it for production: asynchronous, asyncpg, a
pool, statements prepared by the driver, a token verified once and remembered. It runs in an environment of its own,
with the versions of `requirements.txt`, and imports nothing of ours.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import JSON, DateTime, Text, Uuid, bindparam, column, insert, or_, select, table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

POOL_SIZE = 20
KEY = bytes.fromhex(os.environ["PLAIN_KEY"])
INSTANCE = uuid4()
PERMITTED = {("asker", "measured"): {"purpose": "measuring", "legal_basis": "Act 1", "case_reference": True}}

jwt.register_algorithm("Ed25519", jwt.algorithms.OKPAlgorithm())
JWKS = {
    one["kid"]: jwt.PyJWK(one, algorithm="EdDSA").key
    for one in json.loads(Path(os.environ["PLAIN_JWKS"]).read_text())["keys"]
}


def timeline(schema: str, *names: str) -> Any:
    """A view of one agency."""
    times = ("effective_from", "effective_to", "recorded_at", "known_at")
    return table(
        "timeline",
        *[column(name, Uuid) for name in ("subject", "event_id")],
        *[column(name, DateTime(timezone=True)) for name in times],
        *[column(name) for name in ("ceased", "partition", "position", "under_investigation", *names)],
        schema=schema,
    )


TAX = timeline("tax.status", "standing", "debt_rials")
IDENTITY = timeline("civil.identity", "given_name", "family_name", "sex")


def holding(view: Any) -> Any:
    """What holds about a person."""
    subject, now = bindparam("subject", type_=Uuid), bindparam("now", type_=DateTime(timezone=True))
    begins, ends = view.c.effective_from, view.c.effective_to
    return select(view).where(view.c.subject == subject, begins <= now, or_(ends.is_(None), ends > now), ~view.c.ceased)


TAX_OF, IDENTITY_OF = holding(TAX), holding(IDENTITY)
ACCESSES = table(
    "accesses",
    column("access_id", Uuid),
    column("at", DateTime(timezone=True)),
    *[
        column(name, Text)
        for name in ("requester", "procedure", "case_reference", "purpose", "legal_basis", "decision")
    ],
    column("subject", Uuid),
    column("evidence", JSON),
    column("instance", Uuid),
    schema="yekbar",
)

engine = create_async_engine(os.environ["PLAIN_DATABASE_URL"], pool_size=POOL_SIZE, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)
remembered: dict[str, dict[str, Any]] = {}


class EvidenceRequest(BaseModel):
    """What is asked."""

    procedure: str = Field(max_length=100)
    national_id: str = Field(pattern=r"^\d{10}$")
    case_reference: str | None = Field(default=None, max_length=200)


class Evidence(BaseModel):
    """A piece of evidence."""

    evidence_type: str
    provider: str
    claims: dict[str, Any]
    effective_from: datetime
    effective_to: datetime | None
    recorded_at: datetime
    known_at: datetime
    events: list[dict[str, Any]]
    under_investigation: list[str]


class Requirement(BaseModel):
    """How a requirement stands."""

    requirement: str
    status: str
    evidence: list[Evidence]


class EvidenceAnswer(BaseModel):
    """An answer."""

    access_id: UUID
    procedure: str
    effective_at: datetime
    is_complete: bool
    requirements: list[Requirement]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Closes the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def agency(authorization: Annotated[str, Header()]) -> str:
    """Who calls."""
    token = authorization.removeprefix("Bearer ")
    claims = remembered.get(token)
    if claims is None:
        try:
            key = JWKS[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token, key, ["Ed25519"], audience=os.environ["PLAIN_AUDIENCE"], issuer=os.environ["PLAIN_ISSUER"]
            )
        except (jwt.PyJWTError, KeyError):
            raise HTTPException(401, "the token is refused") from None
        remembered[token] = claims
    if claims["exp"] < time.time():
        raise HTTPException(401, "the token has expired")
    return claims["agency"]


async def session() -> AsyncIterator[AsyncSession]:
    """A session of the pool."""
    async with sessions() as one:
        yield one


@app.get("/v1/procedures")
async def procedures() -> list[str]:
    """The procedures."""
    return [procedure for _, procedure in PERMITTED]


@app.post("/v1/evidence")
async def evidence(
    asked: EvidenceRequest,
    requester: Annotated[str, Depends(agency)],
    database: Annotated[AsyncSession, Depends(session)],
) -> EvidenceAnswer:
    """The evidence about one person; the access is recorded before it is given."""
    agreement = PERMITTED.get((requester, asked.procedure))
    if agreement is None or (agreement["case_reference"] and asked.case_reference is None):
        raise HTTPException(403, "not permitted")
    if not is_valid(asked.national_id):
        raise HTTPException(422, "the national id is not valid")
    now = datetime.now(UTC)
    subject = UUID(bytes=hmac.digest(KEY, asked.national_id.encode(), hashlib.sha256)[:16])
    asked_for = {"subject": subject, "now": now}
    tax = (await database.execute(TAX_OF, asked_for)).mappings().all()
    identity = (await database.execute(IDENTITY_OF, asked_for)).mappings().all()
    requirements = [
        requirement("clearance", "tax", TAX, [(one, {"cleared": True}) for one in tax if one["standing"] == "cleared"]),
        requirement(
            "identity",
            "civil",
            IDENTITY,
            [(one, {"full_name": f"{one['given_name']} {one['family_name']}", "sex": one["sex"]}) for one in identity],
        ),
    ]
    access_id = uuid4()
    told = [{"evidence_type": one.requirement, "status": one.status} for one in requirements]
    await database.execute(
        insert(ACCESSES).values(
            access_id=access_id,
            at=now,
            requester=requester,
            procedure=asked.procedure,
            subject=subject,
            case_reference=asked.case_reference,
            purpose=agreement["purpose"],
            legal_basis=agreement["legal_basis"],
            decision="granted",
            evidence=told,
            instance=INSTANCE,
        )
    )
    await database.commit()
    return EvidenceAnswer(
        access_id=access_id,
        procedure=asked.procedure,
        effective_at=now,
        is_complete=all(one.status == "met" for one in requirements),
        requirements=requirements,
    )


def requirement(name: str, provider: str, view: Any, proofs: list[tuple[Any, dict[str, Any]]]) -> Requirement:
    """How a requirement stands by its proofs."""
    pieces = [
        Evidence(
            evidence_type=name,
            provider=provider,
            claims=claims,
            events=[{"record_type": view.schema, **{key: row[key] for key in ("event_id", "partition", "position")}}],
            **{key: row[key] for key in ("effective_from", "effective_to", "recorded_at", "known_at")},
            under_investigation=row["under_investigation"],
        )
        for row, claims in proofs
    ]
    return Requirement(requirement=name, status="met" if pieces else "unmet", evidence=pieces)


def is_valid(national_id: str) -> bool:
    """Whether the check digit is right."""
    rest = sum(int(digit) * weight for digit, weight in zip(national_id, range(10, 1, -1), strict=False)) % 11
    return int(national_id[9]) == (rest if rest < 2 else 11 - rest)


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(os.environ["PLAIN_PORT"]), loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
