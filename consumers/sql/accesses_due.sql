-- The accesses to be relayed, in an order that never changes: those whose transaction ended, and every one before.
SELECT written_by::text AS xid, access_id::text AS row_id, access_id, at, requester, procedure, subject, case_reference,
       acting_user, representative, purpose, legal_basis, effective_at, known_at, decision, reason,
       evidence::text AS evidence, instance
FROM yekbar.accesses
WHERE written_by::text::bigint >= %(xid)s::bigint
  AND (written_by, access_id) > (%(xid)s::text::xid8, %(row)s::uuid)
  AND written_by < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY written_by, access_id
