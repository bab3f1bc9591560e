-- Cedar policies. The text in force is in admin_policy; every text that was ever saved in the other.
CREATE TABLE admin_policy (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    text TEXT NOT NULL,
    text_version BIGINT NOT NULL,
    is_active BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT
);
CREATE UNIQUE INDEX admin_policy_name ON admin_policy (name);
CREATE TABLE admin_policy_version (
    policy_id TEXT NOT NULL REFERENCES admin_policy (id) ON DELETE CASCADE,
    text_version BIGINT NOT NULL,
    text TEXT NOT NULL,
    comment TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    PRIMARY KEY (policy_id, text_version)
);

-- Aliases, redirects, entities of models: what policies and routes speak of besides teams.
CREATE TABLE admin_model_tier (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    models TEXT NOT NULL
);
CREATE UNIQUE INDEX admin_model_tier_name ON admin_model_tier (name);
