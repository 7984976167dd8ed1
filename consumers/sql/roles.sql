-- The roles of jobs. They are the cluster's; nobody logs in by them: a login is made a member of the one whose job it does.
DO $$
DECLARE job text;
BEGIN
  FOREACH job IN ARRAY ARRAY['yekbar_evidence', 'yekbar_materializer', 'yekbar_bookkeeper', 'yekbar_auditor'] LOOP
    IF to_regrole(job) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', job);
        EXECUTE format('GRANT %I TO CURRENT_USER', job);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of the cluster was put into force at the same time
      END;
    END IF;
  END LOOP;
END
$$
