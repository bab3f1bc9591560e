-- Bundles as gates fetch them. Sections are kept by hash and shared by bundles.
CREATE TABLE admin_bundle (
    revision BIGINT PRIMARY KEY,
    etag TEXT NOT NULL,
    manifest TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE admin_bundle_section (
    sha256 TEXT PRIMARY KEY,
    content AICPI_BLOB NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE TABLE admin_bundle_error (
    id BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL,
    message TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE admin_gate (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    boot TEXT NOT NULL,
    bundle_version TEXT,
    error TEXT,
    address TEXT,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    next_event BIGINT NOT NULL,
    dropped BIGINT NOT NULL
);
CREATE INDEX admin_gate_seen ON admin_gate (last_seen_at);

-- What gates told. One table of decisions and findings; lists of limit and guardrail events are views.
CREATE TABLE admin_event (
    id TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    node TEXT NOT NULL,
    type TEXT NOT NULL,
    step TEXT,
    rule TEXT,
    action TEXT,
    call_id TEXT,
    user_id TEXT,
    team_id TEXT,
    org_id TEXT,
    key_id TEXT,
    model TEXT,
    http_status BIGINT,
    risk_score BIGINT,
    cost BIGINT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    duration_us BIGINT,
    details TEXT NOT NULL
);
CREATE INDEX admin_event_time ON admin_event (created_at, id);
CREATE INDEX admin_event_type ON admin_event (type, created_at, id);
CREATE INDEX admin_event_team ON admin_event (team_id, created_at, id);
CREATE INDEX admin_event_user ON admin_event (user_id, created_at, id);
CREATE INDEX admin_event_model ON admin_event (model, created_at, id);

-- Requests that a rate-limit policy refused; the rule is "rl-<policy id>-<suffix>".
CREATE VIEW admin_rate_limit_event AS
SELECT e.id, e.created_at, p.id AS policy_id, p.name AS policy_name, p.scope, p.scope_value,
       substr(e.rule, length(e.rule) - 2) AS limit_type,
       CASE substr(e.rule, length(e.rule) - 2)
           WHEN 'rpm' THEN p.rpm_limit WHEN 'rpb' THEN p.rpm_limit
           WHEN 'tpm' THEN p.tpm_limit WHEN 'tpb' THEN p.tpm_limit
           WHEN 'rpd' THEN p.rpd_limit WHEN 'tpd' THEN p.tpd_limit
           ELSE p.max_parallel_requests END AS limit_value,
       'rejected' AS action, e.user_id, e.team_id, e.model, e.call_id
  FROM admin_event e
  JOIN admin_rate_limit p ON e.rule LIKE 'rl-%' AND p.id = substr(e.rule, 4, length(e.rule) - 7)
 WHERE e.type = 'decision' AND e.step = 'limits';

-- What guardrails blocked, changed or only found. The rule of a refusal is "TYPE (rule)".
CREATE VIEW admin_guardrail_event AS
SELECT id, created_at,
       CASE WHEN type = 'output' THEN CASE WHEN action = 'block' THEN 'output_blocked' ELSE 'output_masked' END
            WHEN action = 'deny' THEN 'input_blocked' ELSE 'pii_detected' END AS event_type,
       COALESCE(rule, type) AS scanner_name, user_id, team_id, org_id, model, risk_score,
       CASE WHEN type = 'output' THEN CASE WHEN action = 'block' THEN 'blocked' ELSE action END
            WHEN action = 'deny' THEN 'blocked' ELSE 'detected' END AS action_taken,
       call_id, details
  FROM admin_event
 WHERE type = 'output' OR (type = 'decision' AND action = 'deny' AND step = 'guardrail')
    OR (type = 'decision' AND action = 'allow' AND risk_score > 0
        AND details LIKE '%"findings":%' AND details NOT LIKE '%"findings":0,%');
