-- The tables of the schema registry; harmless when repeated.
CREATE SCHEMA IF NOT EXISTS schema_registry;

-- Every schema that was ever given an id. Rows are never removed: an id means one schema for ever, also after its last
-- version was deleted. `digest` tells equal schemas (with equal references) whatever their spelling.
CREATE TABLE IF NOT EXISTS schema_registry.schemas (
  id integer PRIMARY KEY,
  digest bytea NOT NULL,
  text text NOT NULL
);
CREATE INDEX IF NOT EXISTS schemas_digest ON schema_registry.schemas (digest, id);

-- The versions of a subject name that a schema uses, in the order in which it names them.
CREATE TABLE IF NOT EXISTS schema_registry.schema_references (
  schema_id integer NOT NULL REFERENCES schema_registry.schemas,
  place integer NOT NULL,
  name text NOT NULL,
  subject text NOT NULL,
  version integer NOT NULL,
  PRIMARY KEY (schema_id, place)
);
CREATE INDEX IF NOT EXISTS schema_references_subject ON schema_registry.schema_references (subject, version);

-- What is registered under which subject name; a soft-deleted version stays until it is deleted permanently.
CREATE TABLE IF NOT EXISTS schema_registry.versions (
  subject text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  schema_id integer NOT NULL REFERENCES schema_registry.schemas,
  is_deleted boolean NOT NULL DEFAULT false,
  registered_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject, version)
);
CREATE INDEX IF NOT EXISTS versions_schema ON schema_registry.versions (schema_id);

-- The compatibility level and mode of a subject name; the empty one is the global setting.
CREATE TABLE IF NOT EXISTS schema_registry.settings (
  subject text COLLATE "C" PRIMARY KEY,
  compatibility text,
  normalize boolean,
  mode text
);
