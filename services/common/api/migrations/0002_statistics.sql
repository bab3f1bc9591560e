-- SQLite chooses between indexes by statistics that it does not gather by itself. Those of the audit log are given, so
-- that a filter over several fields begins with the one that leaves fewest entries, from the first entry on.
-- engine: sqlite
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl = 'audit_log';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_log', 'audit_log_at', '1000000 1 1'),
    ('audit_log', 'audit_log_resource', '1000000 20 1 1'),
    ('audit_log', 'audit_log_actor', '1000000 5000 1 1 1 1 1 1'),
    ('audit_log', 'audit_log_org', '1000000 50000 1 1 1 1 1 1'),
    ('audit_log', 'audit_log_type', '1000000 100000 1 1 1 1 1 1'),
    ('audit_log', 'audit_log_action', '1000000 200000 1 1 1 1 1 1'),
    ('audit_log', 'audit_log_outcome', '1000000 500000 1 1 1 1 1 1');
ANALYZE sqlite_schema;
-- engine: any
