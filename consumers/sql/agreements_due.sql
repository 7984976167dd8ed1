-- The changes of agreements to be relayed: those whose transaction ended, and every one before.
SELECT written_by::text AS xid, number::text AS row_id, change_id, number, at, agreement, kind, agency, reason,
       terms::text AS terms
FROM yekbar.agreement_changes
WHERE (written_by, number) > (%(xid)s::text::xid8, %(row)s::bigint)
  AND written_by < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY written_by, number
