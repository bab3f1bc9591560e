-- What each subject may spend: an account of the bundle. Use and reservations are the ledger's.
CREATE TABLE admin_account (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    scope TEXT NOT NULL,
    scope_value TEXT,
    hard_limit BIGINT,
    soft_limits TEXT NOT NULL,
    duration TEXT NOT NULL,
    timezone TEXT,
    on_unknown_price TEXT NOT NULL,
    budget_id TEXT,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_account_name ON admin_account (name);
