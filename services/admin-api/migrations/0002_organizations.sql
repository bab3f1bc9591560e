CREATE TABLE admin_user (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    email TEXT NOT NULL,
    display_name TEXT,
    avatar_url TEXT,
    auth_provider TEXT,
    external_id TEXT,
    is_active BIGINT NOT NULL,
    is_platform_admin BIGINT NOT NULL,
    last_login_at BIGINT
);
CREATE UNIQUE INDEX admin_user_email ON admin_user (email);
CREATE UNIQUE INDEX admin_user_external ON admin_user (auth_provider, external_id);

CREATE TABLE admin_organization (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT,
    max_budget BIGINT,
    allowed_models TEXT NOT NULL,
    metadata TEXT NOT NULL,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_organization_name ON admin_organization (name);
CREATE UNIQUE INDEX admin_organization_slug ON admin_organization (slug);

CREATE TABLE admin_business_unit (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    org_id TEXT NOT NULL REFERENCES admin_organization (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT,
    max_budget BIGINT,
    allowed_models TEXT NOT NULL,
    is_active BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_business_unit_slug ON admin_business_unit (org_id, slug);

-- A team of LiteLLM belongs to one organization, and perhaps to one of its business units.
CREATE TABLE admin_team (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    org_id TEXT NOT NULL REFERENCES admin_organization (id) ON DELETE CASCADE,
    bu_id TEXT REFERENCES admin_business_unit (id) ON DELETE SET NULL,
    max_budget_override BIGINT
);
CREATE INDEX admin_team_org ON admin_team (org_id);
CREATE INDEX admin_team_bu ON admin_team (bu_id);

CREATE TABLE admin_membership (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    user_id TEXT NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES admin_organization (id) ON DELETE CASCADE,
    bu_id TEXT REFERENCES admin_business_unit (id) ON DELETE CASCADE,
    role TEXT NOT NULL
);
CREATE UNIQUE INDEX admin_membership_one ON admin_membership (user_id, org_id, COALESCE(bu_id, ''));
CREATE INDEX admin_membership_org ON admin_membership (org_id);
