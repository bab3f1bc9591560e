CREATE TABLE admin_guardrail (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    enable_prompt_injection BIGINT NOT NULL,
    prompt_injection_threshold BIGINT NOT NULL,
    enable_pii_detection BIGINT NOT NULL,
    pii_action TEXT NOT NULL,
    pii_entities TEXT NOT NULL,
    enable_toxicity BIGINT NOT NULL,
    toxicity_threshold BIGINT,
    banned_topics TEXT NOT NULL,
    enable_secrets_detection BIGINT NOT NULL,
    secrets_action TEXT NOT NULL,
    enable_invisible_text BIGINT NOT NULL,
    enable_malicious_urls BIGINT NOT NULL,
    enable_sensitive_output BIGINT NOT NULL,
    mode TEXT NOT NULL,
    on_error TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_guardrail_name ON admin_guardrail (name);
CREATE TABLE admin_guardrail_assignment (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    team_id TEXT NOT NULL,
    guardrail_id TEXT NOT NULL REFERENCES admin_guardrail (id) ON DELETE CASCADE,
    priority BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_guardrail_assignment_one ON admin_guardrail_assignment (team_id, guardrail_id);
CREATE TABLE admin_detector (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    detector_type TEXT NOT NULL,
    config TEXT NOT NULL,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_detector_name ON admin_detector (name);
CREATE TABLE admin_guardrail_detector (
    guardrail_id TEXT NOT NULL REFERENCES admin_guardrail (id) ON DELETE CASCADE,
    detector_id TEXT NOT NULL REFERENCES admin_detector (id) ON DELETE CASCADE,
    priority BIGINT NOT NULL,
    PRIMARY KEY (guardrail_id, detector_id)
);
CREATE TABLE admin_content_policy (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    team_id TEXT NOT NULL,
    policy_type TEXT NOT NULL,
    config TEXT NOT NULL,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_content_policy_one ON admin_content_policy (team_id, policy_type);
-- What holds for teams without a profile of their own.
INSERT INTO admin_guardrail (id, version, created_at, updated_at, name, description,
    enable_prompt_injection, prompt_injection_threshold, enable_pii_detection, pii_action, pii_entities,
    enable_toxicity, toxicity_threshold, banned_topics, enable_secrets_detection, secrets_action,
    enable_invisible_text, enable_malicious_urls, enable_sensitive_output, mode, on_error, is_default, is_active)
VALUES ('00000000-0000-4000-8000-000000000001', 1, 1767225600000000000, 1767225600000000000, 'default',
    'Personal data is restored in answers, secrets are masked, injections are refused.',
    1, 900000000, 1, 'anonymize',
    '["EMAIL_ADDRESS","PHONE_NUMBER","CREDIT_CARD","US_SSN","IBAN_CODE","IP_ADDRESS"]',
    0, NULL, '[]', 1, 'default', 1, 0, 1, 'enforce', 'block', 1, 1);
CREATE VIEW admin_guardrail_assigned AS
SELECT a.id, a.created_at, a.updated_at, a.team_id, a.guardrail_id AS guardrail_config_id, p.name AS config_name,
       a.priority, t.org_id
  FROM admin_guardrail_assignment a
  JOIN admin_guardrail p ON p.id = a.guardrail_id
  LEFT JOIN admin_team t ON t.id = a.team_id;
CREATE VIEW admin_content_policy_seen AS
SELECT c.id, c.created_at, c.updated_at, c.team_id, c.policy_type, c.config, c.is_active, t.org_id
  FROM admin_content_policy c
  LEFT JOIN admin_team t ON t.id = c.team_id;
