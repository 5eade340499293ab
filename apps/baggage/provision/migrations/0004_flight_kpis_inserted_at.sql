-- When a row came, in real time: rows of one tick may come twice, the second time after a restart and with later counts.
-- SELECT * leaves it out. The rows that are there came when they were due, as far as can be told.
ALTER TABLE {database}.flight_kpis ADD COLUMN IF NOT EXISTS inserted_at DateTime64(3, 'UTC') MATERIALIZED ts;
ALTER TABLE {database}.flight_kpis MATERIALIZE COLUMN inserted_at SETTINGS mutations_sync = 2;
ALTER TABLE {database}.flight_kpis MODIFY COLUMN inserted_at DateTime64(3, 'UTC') MATERIALIZED now64(3, 'UTC');
