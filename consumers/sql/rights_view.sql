-- What each job may do with a record type's view. A fact is written once; only what became of it may change.
GRANT USAGE ON SCHEMA {schema} TO yekbar_evidence, yekbar_materializer, yekbar_bookkeeper, yekbar_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO yekbar_evidence, yekbar_materializer, yekbar_bookkeeper, yekbar_auditor;
GRANT INSERT, UPDATE (voided_by) ON {schema}.facts TO yekbar_materializer
