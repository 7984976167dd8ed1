"""How many services are document-free, and what the others lack."""

from bus.kafka import admin
from consumers.status import ProcedureStatus
from consumers.status_reading import read_ends, read_status
from deploy.demo.scene import Scene, now


def share_is_told(scene: Scene) -> None:
    """The programme's own measure, from live data."""
    stage, wiring = scene.stage, scene.wiring
    stage.chapter("Which services are document-free")
    scene.views.wait_until_read_to(now())
    ends = read_ends(admin(wiring.kafka), wiring.catalogue)
    with wiring.database() as connection:
        status = read_status(connection, ends, wiring.catalogue, now())
    stage.table(
        "Services",
        ["service", "agency", "requirements", "document-free", "what is missing"],
        [[one.procedure, one.agency, one.requirements, one.is_document_free, _lacks(one)] for one in status.procedures],
    )
    stage.expect(
        "every service is document-free but the one whose agreements are not accepted",
        holds=[one.procedure for one in status.procedures if not one.is_document_free] == ["vocational-licence"],
        seen=f"{status.document_free} of {len(status.procedures)} services",
    )
    stage.expect(
        "of no source is an event missing",
        holds=bool(status.sources) and not any(one.missing for one in status.sources),
        seen=f"{len(status.sources)} sources, {sum(one.received for one in status.sources):,} events",
    )


def _lacks(one: ProcedureStatus) -> str:
    return ", ".join(f"{lack.evidence_type}: {lack.reason}" for lack in one.missing)
