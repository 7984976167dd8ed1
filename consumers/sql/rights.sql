-- What each job may do with the platform's own tables. Whatever is not said here is refused: nobody deletes facts,
-- accesses or changes of agreements, and the materializer cannot see who asked about whom.
GRANT USAGE ON SCHEMA yekbar TO yekbar_evidence, yekbar_materializer, yekbar_bookkeeper, yekbar_auditor;
GRANT USAGE ON SCHEMA quality TO yekbar_materializer, yekbar_bookkeeper, yekbar_auditor;

GRANT SELECT ON yekbar.positions, yekbar.sources, yekbar.heartbeats, yekbar.source_completeness TO yekbar_evidence;
GRANT SELECT, INSERT ON yekbar.accesses, yekbar.agreement_changes TO yekbar_evidence;
GRANT SELECT, INSERT, UPDATE, DELETE ON yekbar.persons_asked TO yekbar_evidence;
GRANT SELECT, INSERT, UPDATE ON yekbar.evidence_instances TO yekbar_evidence;

GRANT SELECT, INSERT, UPDATE ON yekbar.positions, yekbar.sources, yekbar.quarantine, yekbar.heartbeats TO yekbar_materializer;
GRANT SELECT ON yekbar.source_completeness TO yekbar_materializer;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA quality TO yekbar_materializer;

GRANT SELECT ON ALL TABLES IN SCHEMA yekbar TO yekbar_bookkeeper;
GRANT INSERT, UPDATE ON yekbar.relays TO yekbar_bookkeeper;
GRANT INSERT, UPDATE, DELETE ON yekbar.heartbeats TO yekbar_bookkeeper;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA quality TO yekbar_bookkeeper;

GRANT SELECT ON ALL TABLES IN SCHEMA yekbar, quality TO yekbar_auditor;
DO $$
BEGIN
  EXECUTE format('GRANT CREATE ON DATABASE %I TO yekbar_auditor', current_database());  -- for scratch schemas
END
$$
