"""Whether one person may act for another: by a mandate that an authority has on record, and that holds now.

A mandate is two records with one number, one about each person. So no record names a second person, and who reads one
of them does not learn of the other.
"""

from datetime import UTC, datetime
from uuid import UUID

from consumers.evidence.errors import UnavailableError
from consumers.evidence.reader import Reader
from consumers.views import holding_sql, statement
from registry.contracts import Catalogue


class Mandates:
    """The mandates of a nation; where its catalogue has none, nobody acts for another."""

    def __init__(self, catalogue: Catalogue, reader: Reader) -> None:
        self._reader = reader
        self._record_type = catalogue.record_types[catalogue.mandates] if catalogue.mandates else None
        self._query = (
            statement("mandate.sql").format(holding=holding_sql(self._record_type, as_known=False))
            if self._record_type
            else None
        )

    async def hold(self, *, representative: UUID, represented: UUID, procedure: str | None) -> bool:
        """Whether a mandate holds, for a procedure or for everything.

        Raises UnavailableError when nobody can say: an old view may hold a mandate that was withdrawn since.
        """
        if self._query is None or self._record_type is None:
            return False
        asked = {
            "subjects": [representative, represented],
            "representative": representative,
            "represented": represented,
            "procedure": procedure,
            "at": datetime.now(UTC),
            "view": self._record_type.id,
            "freshness": self._record_type.freshness,
        }
        async with self._reader.connection() as connection:
            row = await (await connection.execute(self._query, asked)).fetchone()
        holds, is_fresh = row or (False, False)
        if not is_fresh:
            raise UnavailableError("the mandates are not up to date")
        return bool(holds)
