"""Validation of policies against a schema."""

import aicp
import pytest

SCHEMA = aicp.Schema(
    "entity Team; entity User in [Team] = { email: String, nick?: String }; entity Doc;\n"
    "action read appliesTo { principal: User, resource: Doc };"
)


def test_a_set_that_passes_is_true_and_has_no_findings():
    policies = aicp.PolicySet('permit(principal, action, resource) when { principal.email == "x" };')
    report = policies.validate(SCHEMA)
    assert report and report.passed and report.findings == [] and not report.truncated


def test_findings_tell_what_is_wrong_and_where():
    policies = aicp.PolicySet(
        "permit(principal, action, resource)\n  when { principal.emial == context };\n"
        "permit(principal in ?principal, action, resource) when { false };"
    )
    report = policies.validate(SCHEMA)
    assert not report
    (error,) = report.errors
    assert (error.severity, error.kind, error.policy) == ("error", "UnsafeAttributeAccess", "policy0")
    assert (error.line, error.column, error.offset, error.index) == (2, 20, 55, 0)
    assert not error.is_template and error.message.endswith("did you mean email?")
    (warning,) = report.warnings
    assert (warning.kind, warning.policy, warning.is_template) == ("ImpossiblePolicy", "policy1", True)
    assert report.findings == [error, warning]


def test_modes_decide_what_counts():
    apart = aicp.PolicySet("permit(principal, action, resource) when { principal.email == 1 };")
    assert not apart.validate(SCHEMA)
    assert apart.validate(SCHEMA, permissive=True)
    group = aicp.PolicySet("permit(principal is Team, action, resource);")
    assert not group.validate(SCHEMA)
    assert group.validate(SCHEMA, inapplicable_warns=True)
    short = group.validate(SCHEMA, max_findings=1)
    assert short.truncated and len(short.findings) == 1 and not short.passed


def test_a_closed_schema_is_refused():
    schema = aicp.Schema("entity User;")
    schema.close()
    with pytest.raises(aicp.StateError):
        aicp.PolicySet("").validate(schema)
