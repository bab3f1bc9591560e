CREATE TABLE admin_rate_limit (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    scope TEXT NOT NULL,
    scope_value TEXT,
    rpm_limit BIGINT,
    tpm_limit BIGINT,
    rpd_limit BIGINT,
    tpd_limit BIGINT,
    max_parallel_requests BIGINT,
    burst_multiplier BIGINT NOT NULL,
    burst_window_seconds BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    enforcer TEXT NOT NULL,
    is_active BIGINT NOT NULL,
    sync_status TEXT,
    sync_message TEXT,
    synced_at BIGINT
);
CREATE INDEX admin_rate_limit_scope ON admin_rate_limit (scope, scope_value);
-- What LiteLLM may hold of our limits of a subject, so that it can be cleared and drift be seen. Written before
-- LiteLLM is told; pushed_at names the writer, so that of two that push at once the later one is not overlooked.
CREATE TABLE admin_pushed_limit (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    pushed TEXT NOT NULL,
    pushed_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    message TEXT,
    synced_at BIGINT,
    retry_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
