-- The versions of a schema in one file, which the numbered migrations replace.
DROP TABLE IF EXISTS {database}.schema_version;
