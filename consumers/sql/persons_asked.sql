-- How many distinct persons each requester asked about, by procedure, hour and instance of the service: a HyperLogLog
-- sketch, in which no person can be found.
CREATE SCHEMA IF NOT EXISTS yekbar;
CREATE TABLE IF NOT EXISTS yekbar.persons_asked (
  requester text NOT NULL,
  procedure text NOT NULL,
  hour timestamptz NOT NULL,
  instance uuid NOT NULL,
  registers bytea NOT NULL,
  PRIMARY KEY (hour, requester, procedure, instance)
)
