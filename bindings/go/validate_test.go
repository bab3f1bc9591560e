package aicp

import (
	"strings"
	"testing"
)

func TestPoliciesAreValidatedAgainstASchema(t *testing.T) {
	schema, err := ParseSchema([]byte("entity Team; entity User in [Team] = { email: String };"+
		" entity Doc; action read appliesTo { principal: User, resource: Doc };"), SchemaOptions{})
	must(t, err)
	defer schema.Close()
	validate := func(text string, o ValidateOptions) Validation {
		t.Helper()
		set, err := ParsePolicies(text, PolicyOptions{})
		must(t, err)
		defer set.Close()
		v, err := set.Validate(schema, o)
		must(t, err)
		return v
	}
	v := validate("permit(principal, action, resource)\n  when { principal.emial == 1 };\n"+
		"permit(principal in ?principal, action, resource) when { false };", ValidateOptions{})
	want(t, "passed", v.Passed, false)
	want(t, "count", len(v.Findings), 2)
	message := v.Findings[0].Message
	want(t, "message", strings.HasSuffix(message, "did you mean email?"), true)
	want(t, "error", v.Findings[0], PolicyFinding{Error: true, Kind: "UnsafeAttributeAccess", Policy: "policy0",
		Line: 2, Column: 20, Offset: 55, Message: message})
	want(t, "kind", v.Findings[1].Kind, "ImpossiblePolicy")
	want(t, "template", v.Findings[1].Template, true)

	apart := "permit(principal, action, resource) when { principal.email == 1 };"
	want(t, "strict", validate(apart, ValidateOptions{}).Passed, false)
	want(t, "permissive", validate(apart, ValidateOptions{Permissive: true}).Passed, true)
	group := "permit(principal is Team, action, resource);"
	want(t, "group", validate(group, ValidateOptions{InapplicableWarns: true}).Passed, true)
	short := validate(group, ValidateOptions{MaxFindings: 1})
	want(t, "short", short.Truncated && !short.Passed && len(short.Findings) == 1, true)

	set, err := ParsePolicies("", PolicyOptions{})
	must(t, err)
	defer set.Close()
	must(t, schema.Close())
	_, err = set.Validate(schema, ValidateOptions{})
	want(t, "closed", err != nil, true)
}
