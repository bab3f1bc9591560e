-- What the frame of the API keeps beside the resources' own tables.

CREATE TABLE audit_log (
-- engine: sqlite
    id INTEGER PRIMARY KEY AUTOINCREMENT,
-- engine: postgresql
    id BIGSERIAL PRIMARY KEY,
-- engine: any
    at BIGINT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT,
    actor_ip TEXT,
    org_id TEXT,
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT,
    resource_name TEXT,
    changes TEXT NOT NULL,
    request_metadata TEXT NOT NULL,
    outcome TEXT NOT NULL
);
-- Newest first under any filter: behind the filtered column the order, then what other filters look
-- at, so that they are decided in the index, not in a million rows.
CREATE INDEX audit_log_at ON audit_log (at, id);
CREATE INDEX audit_log_actor ON audit_log
    (actor_id, at, id, resource_type, action, org_id, outcome);
CREATE INDEX audit_log_type ON audit_log
    (resource_type, at, id, actor_id, action, org_id, outcome);
CREATE INDEX audit_log_action ON audit_log
    (action, at, id, actor_id, resource_type, org_id, outcome);
CREATE INDEX audit_log_org ON audit_log
    (org_id, at, id, actor_id, resource_type, action, outcome);
CREATE INDEX audit_log_outcome ON audit_log
    (outcome, at, id, actor_id, resource_type, action, org_id);
CREATE INDEX audit_log_resource ON audit_log (resource_id, at, id);

-- The chain: entries in the order in which the sealer met them. Position 0 is its beginning.
CREATE TABLE audit_chain (
    position BIGINT PRIMARY KEY,
    entry_id BIGINT NOT NULL UNIQUE,
    hash TEXT NOT NULL
);
CREATE TABLE audit_chain_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_chain_head (id, position, hash)
    VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE audit_unsealed (
    entry_id BIGINT PRIMARY KEY
);

-- Changes in other systems that were begun.
CREATE TABLE audit_intents (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    entry TEXT NOT NULL
);
CREATE INDEX audit_intents_at ON audit_intents (at);

CREATE TABLE api_idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT NOT NULL,
    etag TEXT,
    body TEXT,
    PRIMARY KEY (caller, key)
);
CREATE INDEX api_idempotency_at ON api_idempotency (at);

CREATE TABLE rules_revision (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT INTO rules_revision (id, revision) VALUES (1, 1);

-- Entries and their chain are only ever added to.
-- engine: sqlite
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit entries cannot be changed'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit entries cannot be deleted'); END;
CREATE TRIGGER audit_chain_no_update BEFORE UPDATE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the audit chain cannot be changed'); END;
CREATE TRIGGER audit_chain_no_delete BEFORE DELETE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the audit chain cannot be deleted'); END;
-- engine: postgresql
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries can only be added' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_chain_no_change BEFORE UPDATE OR DELETE ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_chain_no_truncate BEFORE TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
