package aicp

import (
	"reflect"
	"strings"
	"testing"
)

func TestUnknownResourcesLeavePoliciesToBeAsked(t *testing.T) {
	set, err := ParsePolicies(`permit(principal, action, resource) when { resource.tier == context.tier };
		forbid(principal == User::"eve", action, resource);
		permit(principal, action, resource) when { context.none };`, PolicyOptions{})
	must(t, err)
	defer set.Close()
	entities, err := ParseEntities([]byte(`[{"uid": {"type": "Model", "id": "small"}, "attrs": {"tier": 1}, "parents": []},
		{"uid": {"type": "Model", "id": "large"}, "attrs": {"tier": 2}, "parents": []}]`), EntityOptions{})
	must(t, err)
	defer entities.Close()
	authorizer, err := NewAuthorizer(set, entities)
	must(t, err)
	defer authorizer.Close()
	r, err := NewPolicyRequest()
	must(t, err)
	defer r.Close()
	must(t, r.JSON([]byte(`{"principal": "User::\"ann\"", "action": "Action::\"chat\"", "context": {"tier": 2}}`)))
	partial, err := authorizer.Partial(r)
	must(t, err)
	want(t, "undecided", partial.Undecided, true)
	want(t, "allowed", partial.Allowed, false)
	want(t, "failures", len(partial.Failures), 1)
	want(t, "rest", partial.Rest.Len(), 1)
	rest, err := partial.Rest.At(0)
	must(t, err)
	want(t, "rest", rest.ID, "policy0")
	must(t, partial.Rest.Close())
	must(t, r.Unknown(PartResource, "Model"))
	allowed, err := authorizer.Filter(r, []string{"small", "large", "none"})
	must(t, err)
	if !reflect.DeepEqual(allowed, []string{"large"}) {
		t.Fatal(allowed)
	}
	must(t, r.Principal(EntityUID{"User", "eve"}))
	partial, err = authorizer.Partial(r)
	must(t, err)
	want(t, "undecided", partial.Undecided, false)
	must(t, partial.Rest.Close())
	must(t, r.Unknown(PartPrincipal, ""))
	_, err = authorizer.Filter(r, nil)
	wantCode(t, err, ErrState)
	wantCode(t, r.Unknown(Part(7), ""), ErrInvalid)
}

func TestAnswersAreExplained(t *testing.T) {
	set, err := ParsePolicies(`permit(principal, action, resource) when { context.n <= 10 };
		permit(principal is Key, action, resource is Key);`, PolicyOptions{})
	must(t, err)
	defer set.Close()
	authorizer, err := NewAuthorizer(set, nil)
	must(t, err)
	defer authorizer.Close()
	r, err := NewPolicyRequest()
	must(t, err)
	defer r.Close()
	_, err = authorizer.Explain(r, false)
	wantCode(t, err, ErrState)
	must(t, r.JSON([]byte(`{"principal": "User::\"a\"", "action": "Action::\"b\"", "resource": "Model::\"m\"", "context": {"n": 12}}`)))
	for every, end := range map[bool]string{false: `"passed_over":1}`, true: `"passed_over":0}`} {
		told, err := authorizer.Explain(r, every)
		must(t, err)
		if !strings.Contains(string(told), `"by":"context.n = 10"`) || !strings.HasSuffix(string(told), end) {
			t.Fatal(string(told))
		}
	}
}
