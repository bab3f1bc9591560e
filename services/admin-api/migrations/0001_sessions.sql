-- Sessions that were ended before their time, and users whose sessions all were.
CREATE TABLE admin_session_revoked (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    revoked_ns BIGINT NOT NULL,
    expires_s BIGINT NOT NULL
);
CREATE INDEX admin_session_revoked_expires ON admin_session_revoked (expires_s);
CREATE TABLE admin_session_cut (
    user_id TEXT PRIMARY KEY,
    before_s BIGINT NOT NULL
);
