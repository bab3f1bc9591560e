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
    toxicity_threshold BIGINT NOT NULL,
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
