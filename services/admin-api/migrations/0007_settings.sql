CREATE TABLE admin_setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE admin_settings_version (
    id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO admin_settings_version (id, version, updated_at) VALUES (1, 1, 0);
