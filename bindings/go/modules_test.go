package aicp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// -- policy --------------------------------------------------------------------------------------------

func TestSchemasAreReadAndWrittenInBothSyntaxes(t *testing.T) {
	schema, err := ParseSchema([]byte("type Long2 = Long; entity User in [Team] { age?: Long2 }; entity Team;"+
		"\nentity Long; action \"ask \\0\" appliesTo { principal: User, resource: Team };"), SchemaOptions{})
	must(t, err)
	defer schema.Close()
	want(t, "types", strings.Join(schema.EntityTypes(), " "), "User Team Long")
	want(t, "actions", schema.Actions()[0], EntityUID{"Action", "ask \x00"})
	warnings := schema.Warnings()
	want(t, "warnings", len(warnings), 1)
	want(t, "line", warnings[0].Line, 2)
	want(t, "column", warnings[0].Column, 8)
	want(t, "message", strings.HasPrefix(warnings[0].Message, "Long hides"), true)
	asJSON, err := schema.JSON()
	must(t, err)
	again, err := ParseSchema(asJSON, SchemaOptions{})
	must(t, err)
	defer again.Close()
	one, err := schema.Cedar()
	must(t, err)
	two, err := again.Cedar()
	must(t, err)
	want(t, "text", string(two), string(one))
	_, err = ParseSchema([]byte("entity User in [Team];"), SchemaOptions{})
	want(t, "error", errors.Is(err, ErrNotFound), true)
}

func TestPoliciesDecideWithReasonsAndFailures(t *testing.T) {
	set, err := ParsePolicies(`@id("yes") @why("small is cheap") permit(principal in Team::"blue", action, resource);
		forbid(principal, action, resource) when { context.tokens > 100 };
		permit(principal, action, resource) when { context.missing };`, PolicyOptions{IDFromAnnotation: true})
	must(t, err)
	defer set.Close()
	entities, err := ParseEntities([]byte(`[
		{"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": [{"type": "Team", "id": "blue"}]},
		{"uid": {"type": "Team", "id": "blue"}, "attrs": {}, "parents": []}]`), EntityOptions{})
	must(t, err)
	want(t, "entities", entities.Len(), 2)
	want(t, "contains", entities.Contains(EntityUID{"User", "ann"}), true)
	want(t, "contains", entities.Contains(EntityUID{"User", "bob"}), false)
	written, err := entities.JSON()
	must(t, err)
	again, err := ParseEntities(written, EntityOptions{})
	must(t, err)
	defer again.Close()
	want(t, "contains", again.Contains(EntityUID{"Team", "blue"}), true)
	authorizer, err := NewAuthorizer(set, entities)
	must(t, err)
	must(t, entities.Close()) // the authorizer has its own reference
	r, err := NewPolicyRequest()
	must(t, err)
	defer r.Close()
	must(t, r.Principal(EntityUID{"User", "ann"}))
	must(t, r.Action(EntityUID{"Action", "chat"}))
	must(t, r.Resource(EntityUID{"Model", "m"}))
	must(t, r.ContextJSON([]byte(`{"tokens": 5}`)))
	answer, err := authorizer.Authorize(r)
	must(t, err)
	if !answer.Allowed || !reflect.DeepEqual(answer.Reasons, []string{"yes"}) || answer.Indexes[0] != 0 {
		t.Fatalf("%+v", answer)
	}
	f := answer.Failures[0]
	if len(answer.Failures) != 1 || f.Kind != "RecordAttrDoesNotExist" || f.Line != 3 || f.Code != ErrPolicyEntity {
		t.Fatalf("%+v", answer.Failures)
	}
	policy, err := set.Find("yes")
	must(t, err)
	want(t, "why", policy.Annotations["why"], "small is cheap")
	why, ok := set.Annotation(0, "why")
	want(t, "why", why, "small is cheap")
	want(t, "ok", ok, true)
	_, ok = set.Annotation(0, "nothing")
	want(t, "ok", ok, false)
	policy, err = set.At(1)
	must(t, err)
	want(t, "effect", policy.Effect, Forbid)
	_, err = set.At(3)
	wantCode(t, err, ErrNotFound)
	must(t, r.Context("tokens", 101))
	allowed, err := authorizer.Allowed(r)
	must(t, err)
	want(t, "allowed", allowed, false)
	must(t, r.Reset())
	_, err = authorizer.Authorize(r)
	wantCode(t, err, ErrState)
	must(t, authorizer.Close())
	_, err = authorizer.Authorize(r)
	wantCode(t, err, ErrState)
}

func TestManyRequestsAreAnsweredInOneCall(t *testing.T) {
	set, err := ParsePolicies(`permit(principal == User::"ann", action, resource) when { context.n == 1 };`, PolicyOptions{})
	must(t, err)
	defer set.Close()
	authorizer, err := NewAuthorizer(set, nil)
	must(t, err)
	defer authorizer.Close()
	question := `{"principal": "User::\"ann\"", "action": {"type": "Action", "id": "a"}, "resource": "Doc::\"d\"", "context": {"n": 1}}`
	answers, err := authorizer.AuthorizeJSON([]byte("["+question+"]"), BatchOptions{})
	must(t, err)
	want(t, "answers", string(answers), `[{"decision":"allow","reasons":["policy0"],"errors":[]}]`+"\n")
	o := BatchOptions{DecisionOnly: true, Lines: true, FirstLine: 5}
	answers, err = authorizer.AuthorizeJSON([]byte(question+"\n[]\n"), o)
	must(t, err)
	first, rest, _ := strings.Cut(string(answers), "\n")
	want(t, "decision", first, `{"decision":"allow"}`)
	if !strings.Contains(rest, `"line":6`) {
		t.Fatal(rest)
	}
	_, err = authorizer.AuthorizeJSON([]byte("["), BatchOptions{})
	wantCode(t, err, ErrParse)
	schema, err := ParseSchema([]byte(`entity User; entity Doc; action a appliesTo {principal: User, resource: Doc, context: {n: String}};`), SchemaOptions{})
	must(t, err)
	defer schema.Close()
	answers, err = authorizer.AuthorizeJSON([]byte(question), BatchOptions{Schema: schema})
	must(t, err)
	if !strings.Contains(string(answers), "ERR_POLICY_TYPE") {
		t.Fatal(string(answers))
	}
	r, err := NewPolicyRequest()
	must(t, err)
	defer r.Close()
	must(t, r.JSON([]byte(question)))
	allowed, err := authorizer.Allowed(r)
	must(t, err)
	want(t, "allowed", allowed, true)
}

func TestRequestsAndEntitiesFollowTheirSchema(t *testing.T) {
	schema, err := ParseSchema([]byte(`entity Team; entity User in [Team] = {boss?: User, rate?: decimal};
		entity Model; action chat appliesTo {principal: User, resource: Model, context: {from: ipaddr, n?: Long}};`), SchemaOptions{})
	must(t, err)
	entities, err := ParseEntities([]byte(`[{"uid": {"type": "User", "id": "ann"}, "parents": [],
		"attrs": {"boss": {"type": "User", "id": "eve"}, "rate": "1.5"}}]`), EntityOptions{Schema: schema})
	must(t, err)
	defer entities.Close()
	want(t, "entities", entities.Len(), 2) // with the action
	_, err = ParseEntities([]byte(`[{"uid": {"type": "User", "id": "ann"}, "parents": [], "attrs": {"boss": 1}}]`),
		EntityOptions{Schema: schema})
	wantCode(t, err, ErrPolicyType)
	r, err := NewPolicyRequest()
	must(t, err)
	defer r.Close()
	must(t, r.Schema(schema))
	must(t, schema.Close()) // the request has its own reference
	wantCode(t, r.ContextJSON([]byte(`{"from": "10.0.0.1"}`)), ErrState)
	must(t, r.Principal(EntityUID{"User", "ann"}))
	must(t, r.Action(EntityUID{"Action", "chat"}))
	must(t, r.Resource(EntityUID{"Model", "m"}))
	must(t, r.ContextJSON([]byte(`{"from": "10.0.0.1"}`)))
	must(t, r.Check())
	must(t, r.Context("n", "seven"))
	err = r.Check()
	wantCode(t, err, ErrPolicyType)
	want(t, "message", err.(*Error).Message, `context: attribute "n": expected Long, found String`)
	must(t, r.Schema(nil))
	wantCode(t, r.Check(), ErrState)
}

func TestEntitiesMayLiveElsewhere(t *testing.T) {
	set, err := ParsePolicies(`permit(principal in Team::"blue", action, resource) when { principal.level > 1 };`, PolicyOptions{})
	must(t, err)
	defer set.Close()
	authorizer, err := NewAuthorizer(set, nil)
	must(t, err)
	defer authorizer.Close()
	r, err := NewPolicyRequest()
	must(t, err)
	must(t, r.Principal(EntityUID{"User", "ann"}))
	must(t, r.Action(EntityUID{"Action", "chat"}))
	must(t, r.Resource(EntityUID{"Model", "m"}))
	asked := map[EntityUID]int{}
	must(t, r.Lookup(func(uid EntityUID) ([]byte, error) {
		asked[uid]++
		if uid.ID != "ann" {
			return nil, nil
		}
		return []byte(`{"uid": {"type": "User", "id": "ann"}, "attrs": {"level": 2}, "parents": [{"type": "Team", "id": "blue"}]}`), nil
	}))
	for i := 0; i < 2; i++ {
		allowed, err := authorizer.Allowed(r)
		must(t, err)
		want(t, "allowed", allowed, true)
	}
	if !reflect.DeepEqual(asked, map[EntityUID]int{{"User", "ann"}: 1, {"Team", "blue"}: 1}) {
		t.Fatal(asked)
	}
	gone := errors.New("the directory is closed")
	must(t, r.Lookup(func(EntityUID) ([]byte, error) { return nil, gone }))
	_, err = authorizer.Authorize(r)
	wantCode(t, err, ErrCallback)
	want(t, "cause", errors.Is(err, gone), true)
	want(t, "message", err.(*Error).Message, `cannot look up User::"ann": the directory is closed`)
	must(t, r.Lookup(func(EntityUID) ([]byte, error) { return []byte("{}"), nil }))
	_, err = authorizer.Authorize(r)
	wantCode(t, err, ErrCallback)
	must(t, r.Lookup(func(EntityUID) ([]byte, error) { panic("oh") }))
	func() {
		defer func() {
			what, _ := recover().(string)
			want(t, "panic", what, "oh")
		}()
		_, _ = authorizer.Authorize(r)
	}()
	must(t, r.Lookup(nil))
	allowed, err := authorizer.Allowed(r)
	must(t, err)
	want(t, "allowed", allowed, false)
	must(t, r.Close())
}

func TestPoliciesHaveATextAndAJSONForm(t *testing.T) {
	set, err := ParsePolicies(`permit(principal==?principal,action,resource);forbid(principal,action,resource)when{1<2};`,
		PolicyOptions{})
	must(t, err)
	defer set.Close()
	text, err := set.WritePolicy(0, PolicyCedar)
	must(t, err)
	want(t, "policy", string(text), "forbid (principal, action, resource)\nwhen { 1 < 2 };\n")
	text, err = set.Write(PolicyCedar)
	must(t, err)
	formatted, err := FormatPolicies(string(text), FormatOptions{})
	must(t, err)
	want(t, "formatted", string(formatted), string(text))
	link := `{"templateId":"policy0","newId":"ann","values":{"?principal":{"type":"User","id":"ann"}}}`
	linked, err := set.Link([]byte("[" + link + "]"))
	must(t, err)
	defer linked.Close()
	_, err = linked.Write(PolicyCedar)
	wantCode(t, err, ErrInvalid)
	form, err := linked.Write(PolicyJSON)
	must(t, err)
	again, err := ParsePolicies(string(form), PolicyOptions{})
	must(t, err)
	defer again.Close()
	want(t, "policies", again.Len(), 2)
	template, err := again.WriteTemplate(0, PolicyJSON)
	must(t, err)
	if !strings.Contains(string(form), string(template)) || !strings.Contains(string(form), link) {
		t.Fatal(string(form))
	}
	_, err = set.WriteTemplate(1, PolicyJSON)
	wantCode(t, err, ErrNotFound)
	narrow, err := FormatPolicies("permit(principal,action,resource);", FormatOptions{LineWidth: 20, Indent: 4})
	must(t, err)
	want(t, "narrow", string(narrow), "permit (\n    principal,\n    action,\n    resource\n);\n")
	_, err = FormatPolicies("permit", FormatOptions{})
	wantCode(t, err, ErrParse)
}

func TestRequestsTakeValuesOfEveryType(t *testing.T) {
	set, err := ParsePolicies(`permit(principal, action, resource) when {
		context.b && context.n == 7 && context.s == "x" && context.set.contains("a") &&
		context.ip.isInRange(ip("10.0.0.0/8")) && context.d.lessThan(decimal("2.0")) &&
		context.e == User::"eve" && context.r.k == 1 && context.at < datetime("2030-01-01") &&
		context.dur > duration("1s") &&
		principal in Team::"blue" && principal.alias == "ci" && principal.n == 3 && principal.on &&
		principal.tags.contains("t") && principal.boss == User::"eve" && principal.d == decimal("1.5") };`,
		PolicyOptions{})
	must(t, err)
	authorizer, err := NewAuthorizer(set, nil)
	must(t, err)
	r, err := NewPolicyRequest()
	must(t, err)
	must(t, r.Principal(EntityUID{"Key", "k"}))
	must(t, r.Action(EntityUID{"Action", "chat"}))
	must(t, r.Resource(EntityUID{"Model", "m"}))
	for name, value := range map[string]any{
		"b": true, "n": 7, "s": "x", "set": []string{"b", "a"}, "ip": netip.MustParseAddr("10.1.2.3"),
		"d": Decimal("1.5"), "e": EntityUID{"User", "eve"}, "r": map[string]int{"k": 1},
		"at": time.Unix(1_700_000_000, 0), "dur": 2 * time.Second,
	} {
		must(t, r.Context(name, value))
	}
	must(t, r.Entity(EntityUID{"Key", "k"}, EntityUID{"Team", "blue"}))
	for name, value := range map[string]any{
		"alias": "ci", "n": int64(3), "on": true, "tags": []string{"t"}, "boss": EntityUID{"User", "eve"},
		"d": Decimal("1.5"), "j": []int{1},
	} {
		must(t, r.Attribute(name, value))
	}
	answer, err := authorizer.Authorize(r)
	must(t, err)
	if !answer.Allowed {
		t.Fatalf("%+v", answer)
	}
	wantCode(t, r.Attribute("x", time.Second), ErrUnsupported)
	wantCode(t, r.Context("x\x00y", 1), ErrInvalid)
	if r.Context("x", Decimal("1.23456789")) == nil || r.Context("x", func() {}) == nil {
		t.Fatal("no error")
	}
}

func TestTemplatesAreLinked(t *testing.T) {
	set, err := ParsePolicies("permit(principal == ?principal, action, resource);", PolicyOptions{})
	must(t, err)
	want(t, "policies", set.Len(), 0)
	want(t, "template", set.Templates()[0], "policy0")
	linked, err := set.Link([]byte(`[{"templateId": "policy0", "newId": "ann",
		"values": {"?principal": {"type": "User", "id": "ann"}}}]`))
	must(t, err)
	policy, err := linked.At(0)
	must(t, err)
	want(t, "id", policy.ID, "ann")
}

// -- limits --------------------------------------------------------------------------------------------

func TestLimitsAreExactOverGoroutines(t *testing.T) {
	rules, err := ParseLimitRules([]byte(`[
		{"id": "rpm", "kind": "requests", "limit": 50, "window": "1h", "per": ["team"]},
		{"id": "tpm", "kind": "tokens", "limit": 100000, "window": "1h", "per": ["team"]},
		{"id": "slots", "kind": "concurrency", "limit": 1000, "per": ["tag"]}]`), 0)
	must(t, err)
	want(t, "rules", rules.Len(), 3)
	rule, err := rules.At(0)
	must(t, err)
	if rule.ID != "rpm" || rule.Window != time.Hour || rule.Limit != 50 || rule.Kind.String() != "requests" {
		t.Fatalf("%+v", rule)
	}
	_, err = rules.At(3)
	wantCode(t, err, ErrNotFound)
	limiter, err := NewLimiter(LimiterOptions{})
	must(t, err)
	defer limiter.Close()
	r := LimitRequest{Team: "blue", Tags: []string{"a", strings.Repeat("t", 300)}, Tokens: 10}
	var allowed int64
	var wg sync.WaitGroup
	for n := 0; n < 20; n++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 10; i++ {
				taken, err := limiter.Take(rules, &r)
				if err != nil {
					t.Error(err)
					return
				}
				if taken.Allowed {
					atomic.AddInt64(&allowed, 1)
					if err := taken.Settle(5); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	want(t, "allowed", allowed, int64(50))
	denied, err := limiter.Take(rules, &r)
	must(t, err)
	if denied.Allowed || denied.Rule != "rpm" || denied.RetryAfter <= 0 || denied.Header().Get("Retry-After") == "" {
		t.Fatalf("%+v", denied)
	}
	stats, err := limiter.Stats()
	must(t, err)
	if stats.Allowed != 50 || stats.Denied != 151 {
		t.Fatalf("%+v", stats)
	}
	large, err := limiter.Take(rules, &LimitRequest{Team: "green", Tokens: 200_000, Estimated: true})
	must(t, err)
	if !large.TooLarge || large.RetryAfter != Never || !large.Estimated {
		t.Fatalf("%+v", large)
	}
	must(t, limiter.Flush(true, time.Second))
}

func TestTakesAreGivenBack(t *testing.T) {
	rules, err := ParseLimitRules([]byte(`[{"id": "one", "kind": "requests", "limit": 1, "window": "1h", "per": ["user"]},
		{"id": "slot", "kind": "concurrency", "limit": 1, "per": ["user"]}]`), 10)
	must(t, err)
	limiter, err := NewLimiter(LimiterOptions{SlotTTL: time.Hour})
	must(t, err)
	take := func(user string) *Taken {
		taken, err := limiter.Take(rules, &LimitRequest{User: user})
		must(t, err)
		return taken
	}
	taken := take("a")
	must(t, taken.Renew(time.Minute))
	must(t, taken.Cancel())
	want(t, "after cancel", take("a").Allowed, true)
	taken = take("b")
	must(t, taken.Refund())
	again := take("b")
	want(t, "after refund", again.Rule, "one")
	states, err := limiter.Peek(rules, &LimitRequest{User: "b"})
	must(t, err)
	left := map[string]uint64{}
	for _, state := range states {
		left[state.Rule] = state.Remaining
	}
	if len(states) != 2 || left["one"] != 0 || left["slot"] != 1 {
		t.Fatalf("%+v", states)
	}
	held := take("c")
	again, err = limiter.Take(rules, &LimitRequest{User: "c", Held: []*Taken{held}})
	must(t, err)
	want(t, "with what is held", again.Allowed, true)
	_, err = limiter.Take(rules, &LimitRequest{User: strings.Repeat("x", 10_000)})
	wantCode(t, err, ErrLimit)
}

func TestSharedLimitsAreServed(t *testing.T) {
	store, err := OpenRateStore("sqlite:///" + t.TempDir() + "/rates.db")
	must(t, err)
	defer store.Close()
	out, err := store.Serve(context.Background(), []byte(`{"format": "aicp-leases/1", "node": "n", "boot": "b"}`))
	must(t, err)
	want(t, "out", len(out), 0)
	_, err = store.Serve(context.Background(), []byte(`{`))
	wantCode(t, err, ErrParse)
	_, err = OpenRateStore("nonsense://")
	wantCode(t, err, ErrInvalid)
	_, err = NewLimiter(LimiterOptions{Redis: "nonsense://", RedisPrefix: "x:"})
	wantCode(t, err, ErrInvalid)
	limiter, err := NewLimiter(LimiterOptions{Redis: "redis://127.0.0.1:1/0", RedisConnectTimeout: time.Second})
	must(t, err) // a server that is away is no error: the rule decides
	rules, err := ParseLimitRules([]byte(`[{"id": "r", "kind": "requests", "limit": 3, "window": "1h", "shared": true}]`), 0)
	must(t, err)
	taken, err := limiter.Take(rules, &LimitRequest{Wait: time.Second})
	must(t, err)
	want(t, "degraded", taken.Degraded && taken.Allowed, true)
	must(t, limiter.Close())
}

// -- guardrail -----------------------------------------------------------------------------------------

func TestTextsAreScannedAndRestored(t *testing.T) {
	profile, err := ParseGuardProfile([]byte(`{"name": "p", "version": 3, "pii": {"action": "anonymize"}}`), [32]byte{1})
	must(t, err)
	defer profile.Close()
	want(t, "name", profile.Name(), "p")
	want(t, "version", profile.Version(), int64(3))
	session, err := NewGuardSession()
	must(t, err)
	text := []byte("é mail ann@example.com now")
	scan, err := profile.Scan(text, ScanOptions{Session: session})
	must(t, err)
	want(t, "text", string(scan.Text), "é mail <EMAIL_ADDRESS_1> now")
	f := scan.Findings[0]
	if f.Type != "EMAIL_ADDRESS" || f.Action != GuardAnonymize || string(text[f.Start:f.End]) != "ann@example.com" ||
		f.CharStart != f.Start-1 || f.Category.String() != "pii" || scan.Scores[GuardPII] <= 0 || scan.Err != nil ||
		scan.Action.String() != "anonymize" || scan.Matches != 1 || scan.Reason == "" || f.Preview == "" || f.Hash == "" {
		t.Fatalf("%+v", scan)
	}
	state, err := session.State()
	must(t, err)
	if state.Values != 1 || state.Risk <= 0 || state.Matches != 1 || state.Action != GuardAnonymize {
		t.Fatalf("%+v", state)
	}
	back, err := session.Restore(scan.Text)
	must(t, err)
	want(t, "restored", string(back), string(text))
	stream, err := profile.Stream(ScanOptions{Output: true, Session: session})
	must(t, err)
	out, err := stream.Feed([]byte("to <EMAIL_"))
	must(t, err)
	rest, err := stream.Feed([]byte("ADDRESS_1> "))
	must(t, err)
	last, err := stream.Finish()
	must(t, err)
	want(t, "streamed", string(out)+string(rest)+string(last), "to ann@example.com ")
	_, err = stream.Result()
	must(t, err)
	_, err = stream.Finish()
	wantCode(t, err, ErrState)
	must(t, session.Close()) // the stream still uses it
	must(t, stream.Close())
	_, err = session.Restore(nil)
	wantCode(t, err, ErrState)
	if rules := GuardRules(); len(rules) < 10 || rules[0].ID == "" || rules[0].Description == "" {
		t.Fatal("no rules")
	}
	_, err = ParseGuardProfile([]byte(`{"nonsense": 1}`), [32]byte{})
	wantCode(t, err, ErrParse)
}

func TestOneProfileServesManyGoroutines(t *testing.T) {
	profile, err := ParseGuardProfile([]byte(`{}`), [32]byte{})
	must(t, err)
	var wg sync.WaitGroup
	for n := 0; n < 8; n++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 100; i++ {
				scan, err := profile.Scan([]byte("card 4111 1111 1111 1111"), ScanOptions{})
				if err != nil || string(scan.Text) != "card <CREDIT_CARD>" {
					t.Error(scan, err)
				}
			}
		}()
	}
	wg.Wait()
}

// -- cost ----------------------------------------------------------------------------------------------

func TestMoneyIsExact(t *testing.T) {
	nano, err := ParseMoney("0.0000125")
	must(t, err)
	want(t, "nano", nano, int64(12_500))
	want(t, "text", FormatMoney(-12_500), "-0.0000125")
	_, err = ParseMoney("one")
	wantCode(t, err, ErrParse)
	if !strings.HasPrefix(Version(), "0.") && !strings.HasPrefix(Version(), "1.") {
		t.Fatal(Version())
	}
}

func TestTokensAreCountedAndTurnedBack(t *testing.T) {
	tokenizer, err := OpenTokenizer("cl100k_base")
	must(t, err)
	defer tokenizer.Close()
	ids, err := tokenizer.Encode("hello world", SpecialOrdinary)
	must(t, err)
	if !reflect.DeepEqual(ids, []uint32{15339, 1917}) {
		t.Fatal(ids)
	}
	text := strings.Repeat("wörld 👋🏽 § ", 50) // more tokens than a third of its bytes
	ids, err = tokenizer.Encode(text, SpecialOrdinary)
	must(t, err)
	n, err := tokenizer.CountBytes([]byte(text), SpecialOrdinary)
	must(t, err)
	want(t, "count", n, int64(len(ids)))
	back, err := tokenizer.Decode(ids)
	must(t, err)
	want(t, "decoded", string(back), text)
	short, n, err := tokenizer.Truncate("one two three four", 2)
	must(t, err)
	want(t, "short", short, "one two")
	want(t, "tokens", n, int64(2))
	_, err = tokenizer.Count("<|endoftext|>", SpecialStrict)
	wantCode(t, err, ErrSpecialToken)
	want(t, "name", tokenizer.Name(), "cl100k_base")
	want(t, "size", tokenizer.VocabSize(), 100_277)
	_, err = tokenizer.Decode([]uint32{1 << 30})
	wantCode(t, err, ErrNotFound)
	_, err = OpenTokenizer("nonsense")
	wantCode(t, err, ErrNotFound)
	profile := FindTokenProfile("azure/gpt-4o")
	want(t, "encoding", profile.Encoding, "o200k_base")
	want(t, "quality", FindTokenProfile("nobody knows this").Quality.String(), "estimated")
}

const prices = `{"gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "max_input_tokens": 128000,
	"max_output_tokens": 16384, "litellm_provider": "openai", "mode": "chat"}, "free": {"litellm_provider": "x"}}`

func TestRequestsArePriced(t *testing.T) {
	base, err := ParsePrices([]byte(prices), PriceOptions{Version: "v1", ValidFrom: time.Unix(5, 0)})
	must(t, err)
	table, err := ParsePrices([]byte(`{"own": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}}`),
		PriceOptions{Base: base})
	must(t, err)
	want(t, "models", base.Len(), 2)
	want(t, "version", base.Version(), "v1")
	want(t, "rounded", base.Rounded(), 0)
	price, err := table.Find("openai/gpt-4o")
	must(t, err)
	must(t, base.Close())
	must(t, table.Close()) // the price keeps what it needs
	if price.Provider != "openai" || price.Mode != "chat" || price.MaxOutputTokens != 16384 || !price.Known ||
		!price.ValidFrom.Equal(time.Unix(5, 0)) {
		t.Fatalf("%+v", price)
	}
	femto, err := price.Femto("input_cost_per_token")
	must(t, err)
	want(t, "femto", femto, int64(2_500_000_000))
	_, err = price.Femto("nonsense")
	wantCode(t, err, ErrUnknownPrice)
	usage, err := ParseUsage([]byte(`{"prompt_tokens": 100, "completion_tokens": 10,
		"completion_tokens_details": {"reasoning_tokens": 4}}`))
	must(t, err)
	want(t, "reasoning", usage.ReasoningTokens, int64(4))
	cost, err := price.Cost(usage, CostOptions{Time: time.Now()})
	must(t, err)
	want(t, "total", cost.Total, int64(100*2_500+10*10_000))
	var sum int64
	for _, part := range cost.Parts {
		sum += part.Nano
	}
	want(t, "sum", sum, cost.Total)

	r, err := NewCostRequest()
	must(t, err)
	defer r.Close()
	body := chat("gpt-4o", "hello", 10)
	must(t, r.Parse(body))
	for i := range body {
		body[i] = 'x' // the request must not read it any more
	}
	want(t, "model", r.Model(), "gpt-4o")
	quote, err := r.Estimate(price, CostOptions{})
	must(t, err)
	want(t, "cap", quote.OutputCap, int64(10))
	want(t, "max", quote.CostMax, quote.Input.High*2_500+10*10_000)
	must(t, price.Close())
	_, err = r.Estimate(price, CostOptions{})
	wantCode(t, err, ErrState)

	must(t, r.Reset())
	must(t, r.SetKind(CallChat))
	must(t, r.SetModel("gpt-4o"))
	must(t, r.AddMessage("user", "ann"))
	must(t, r.AddText("hello"))
	must(t, r.AddImage(640, 480, DetailLow))
	must(t, r.AddImageURL("https://example.com/x.png", DetailAuto))
	must(t, r.AddTools([]byte(`[{"type": "function", "function": {"name": "f", "parameters": {}}}]`)))
	must(t, r.SetMaxTokens(5))
	must(t, r.SetN(2))
	must(t, r.SetLongCache(true))
	count, err := r.Count(nil)
	must(t, err)
	other := FindTokenProfile("claude-opus-4-5")
	byOther, err := r.Count(&other)
	must(t, err)
	if count.Images <= 0 || count.Tools <= 0 || byOther.Quality != CountEstimated {
		t.Fatalf("%+v %+v", count, byOther)
	}
	must(t, r.Reset())
	must(t, r.SetKind(CallEmbedding))
	must(t, r.AddTokens(9))
	count, err = r.Count(nil)
	must(t, err)
	want(t, "tokens", count.Tokens, int64(9))
	_, err = (&PriceTable{}).Find("x")
	wantCode(t, err, ErrState)
}

func TestBodiesAreEstimatedAndModelsListed(t *testing.T) {
	text, err := os.ReadFile("../../data/models/models.json")
	must(t, err)
	models, err := ParseModels(text)
	must(t, err)
	if models.Len() < 80 || len(models.Alias("smart")) == 0 || models.Alias("nonsense") != nil {
		t.Fatal("models are missing")
	}
	first, err := models.At(0)
	must(t, err)
	found, err := models.Find(first.Name)
	must(t, err)
	want(t, "provider", found.Provider, first.Provider)
	_, err = models.Find("nobody")
	wantCode(t, err, ErrUnknownModel)
	table, err := ParsePrices([]byte(prices), PriceOptions{Models: models})
	must(t, err)
	quote, err := table.Estimate(chat("gpt-4o", "hello", 10), CostOptions{Tier: TierStandard, OutputP50: 7})
	must(t, err)
	want(t, "learned", quote.FromHistory, true)
	_, err = table.Estimate(chat("free", "hello", 10), CostOptions{})
	wantCode(t, err, ErrUnknownPrice)
	_, err = table.Find("nobody")
	wantCode(t, err, ErrUnknownModel)
	price, err := table.At(0)
	must(t, err)
	want(t, "key", price.Key, "gpt-4o")
	_, err = table.At(table.Len())
	wantCode(t, err, ErrNotFound)
}

// -- budget --------------------------------------------------------------------------------------------

func TestWindowsFollowTheCalendar(t *testing.T) {
	month, err := ParseBudgetWindow("1mo", WindowOptions{Timezone: "Europe/Berlin"})
	must(t, err)
	start, end, err := month.At(time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC))
	must(t, err)
	want(t, "start", start.UTC().Format(time.RFC3339), "2026-02-28T23:00:00Z")
	want(t, "end", end.UTC().Format(time.RFC3339), "2026-03-31T22:00:00Z")
	never, err := ParseBudgetWindow("never", WindowOptions{})
	must(t, err)
	start, end, err = never.At(time.Now())
	must(t, err)
	want(t, "never", start.IsZero() && end.IsZero(), true)
	_, err = ParseBudgetWindow("7 fortnights", WindowOptions{})
	wantCode(t, err, ErrParse)
	_, err = ParseBudgetWindow("1d", WindowOptions{Timezone: "Mars/Base"})
	wantCode(t, err, ErrNotFound)
}

func TestALedgerAdmitsExactlyWhatABudgetHolds(t *testing.T) {
	ctx := context.Background()
	ledger, err := OpenLedger("sqlite:///"+t.TempDir()+"/ledger.db", LedgerOptions{Node: "n"})
	must(t, err)
	defer ledger.Close()
	must(t, ledger.Put(ctx, "team", Account{Limit: 1_000, Duration: "1mo", SoftPercent: []int32{50}, SoftNano: []int64{900}}))
	must(t, ledger.Put(ctx, "org", Account{Limit: Unlimited}))
	var admitted int64
	var wg sync.WaitGroup
	for n := 0; n < 16; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for i := 0; i < 5; i++ {
				id := strings.Repeat("r", n+1) + strings.Repeat("x", i)
				answer, err := ledger.Reserve(ctx, Reservation{ID: id, Accounts: []string{"team", "org"}, Amount: 100})
				if err != nil {
					t.Error(err)
					return
				}
				if !answer.Admitted {
					if answer.Account != "team" || answer.Limit != 1_000 {
						t.Errorf("%+v", answer)
					}
					continue
				}
				atomic.AddInt64(&admitted, 1)
				if err := ledger.MarkDispatched(id, -1); err != nil {
					t.Error(err)
				}
				if err := ledger.Settle(id, 100); err != nil {
					t.Error(err)
				}
			}
		}(n)
	}
	wg.Wait()
	want(t, "admitted", admitted, int64(10))
	must(t, ledger.Flush(ctx))
	status, err := ledger.Status(ctx, "team")
	must(t, err)
	if status.Spent != 1_000 || status.Reserved != 0 || status.Remaining != 0 || status.WindowEnd.IsZero() {
		t.Fatalf("%+v", status)
	}
	known, err := ledger.Known("team")
	must(t, err)
	want(t, "known", known.Spent, int64(1_000))
	events, err := ledger.Events()
	must(t, err)
	if len(events) != 2 || events[0].Account != "team" {
		t.Fatalf("%+v", events)
	}
	metrics, err := ledger.Metrics()
	must(t, err)
	want(t, "metrics", metrics.Settled, uint64(10))
	must(t, ledger.Adjust(ctx, "team", Adjustment{ID: "fix", Reason: "double charge", Amount: -300}))
	answer, err := ledger.Reserve(ctx, Reservation{ID: "later", Accounts: []string{"team"}, Amount: 200, TTL: time.Minute})
	must(t, err)
	want(t, "after the adjustment", answer.Admitted, true)
	must(t, ledger.Renew("later", 0))
	must(t, ledger.MarkDispatched("later", 150))
	must(t, ledger.Flush(ctx))
	accounts, err := ledger.Accounts(ctx, LedgerQuery{Prefix: "t"})
	must(t, err)
	if len(accounts) != 1 || accounts[0].ID != "team" || accounts[0].Limit != 1_000 || accounts[0].Spent != 700 {
		t.Fatalf("%+v", accounts)
	}
	accounts, err = ledger.Accounts(ctx, LedgerQuery{After: "org", Limit: 1})
	must(t, err)
	want(t, "after org", accounts[0].ID, "team")
	reservations, err := ledger.Reservations(ctx, "team", LedgerQuery{})
	must(t, err)
	if len(reservations) != 1 || reservations[0].ID != "later" || reservations[0].Estimate != 150 ||
		!reservations[0].Dispatched || reservations[0].Deadline.Before(time.Now()) {
		t.Fatalf("%+v", reservations)
	}
	spent, err := ledger.Spend(ctx, "team", time.Now().Add(-time.Hour))
	must(t, err)
	want(t, "spend", spent, int64(1_000))
	must(t, ledger.Release("later"))
	must(t, ledger.SettleFor(ctx, "from elsewhere", 5, Settlement{Accounts: []string{"team"}, ReservedAt: time.Now()}))
	must(t, ledger.GiveBack(ctx))
	_, err = ledger.Reserve(ctx, Reservation{ID: "x", Accounts: []string{"nobody"}, Amount: 1})
	wantCode(t, err, ErrNotFound)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	wantCode(t, ledger.Put(cancelled, "team", Account{}), ErrTimeout)
	wantCode(t, ledger.Flush(cancelled), ErrTimeout)
}

func TestALedgerWaitsOnlyWhereItMay(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ledger, err := OpenLedger("sqlite::memory:", LedgerOptions{Sync: true, Background: true, FlushAfter: time.Millisecond})
	must(t, err)
	must(t, ledger.Put(ctx, "a", Account{Limit: 10, Anchor: time.Unix(1, 0), Align: AlignAnchor, Duration: "3d"}))
	_, err = ledger.TryReserve(Reservation{ID: "1", Accounts: []string{"a"}, Amount: 5})
	if err == nil {
		t.Fatal("a ledger that is to commit first answered at once")
	}
	answer, err := ledger.Reserve(ctx, Reservation{ID: "1", Accounts: []string{"a"}, Amount: 5})
	must(t, err)
	want(t, "admitted", answer.Admitted, true)
	must(t, ledger.Close())
	wantCode(t, ledger.Release("1"), ErrState)
	_, err = OpenLedger("nonsense://", LedgerOptions{})
	wantCode(t, err, ErrInvalid)
}

func TestALedgerBehindAServerKeepsItsPromises(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	store, err := OpenLedger("sqlite:///"+t.TempDir()+"/ledger.db", LedgerOptions{Sync: true})
	must(t, err)
	defer store.Close()
	must(t, store.Put(ctx, "team", Account{Limit: 100}))
	var strangers atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/gate/leases" || r.Header.Get("X-Service-Key") != "opens" {
			strangers.Add(1)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer, err := store.Serve(r.Context(), body)
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, `{"format":"aicp-leases/1","ledger":`+string(answer)+`}`)
	}))
	defer server.Close()
	remote, err := OpenLedger(server.URL, LedgerOptions{ServiceKey: "opens"})
	must(t, err)
	for id, admitted := range map[string]bool{"fits": true, "does not": false} {
		amount := int64(60)
		if !admitted {
			amount = 101
		}
		answer, err := remote.Reserve(ctx, Reservation{ID: id, Accounts: []string{"team"}, Amount: amount})
		must(t, err)
		want(t, id, answer.Admitted, admitted)
	}
	must(t, remote.Settle("fits", 40))
	must(t, remote.Flush(ctx))
	must(t, remote.Close())
	status, err := store.Status(ctx, "team")
	must(t, err)
	want(t, "spent", status.Spent, 40)
	want(t, "calls that show no key", strangers.Load(), 0)
	_, err = store.Serve(ctx, []byte(`{`))
	wantCode(t, err, ErrParse)
}

// -- LiteLLM -------------------------------------------------------------------------------------------

// proxy answers as LiteLLM does, and keeps the bodies that it got.
type proxy struct {
	mu    sync.Mutex
	paths []string
	held  chan struct{}
}

// bodies of answers that the client reads.
var proxyAnswers = map[string]string{
	"/v1/models": `{"data": [{"id": "m"}]}`,
	"/key/list":  `{"keys": [], "total_count": 0, "current_page": 1, "total_pages": 1}`,
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.paths = append(p.paths, r.Method+" "+r.URL.Path)
	p.mu.Unlock()
	switch {
	case r.URL.Path == "/slow":
		<-p.held
	case r.URL.Path == "/refused":
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"error": {"message": "slow down", "type": "throttling_error", "param": "p", "code": "429"}}`)
	case strings.Contains(string(body), `"stream":true`):
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"n\": 1}\n\ndata: {\"n\": 2, \"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 4}}\n\ndata: [DONE]\n\n")
	case proxyAnswers[r.URL.Path] != "":
		io.WriteString(w, proxyAnswers[r.URL.Path])
	default:
		w.Header().Set("x-litellm-response-cost", "0.0000125")
		io.WriteString(w, `{"echo": true}`)
	}
}

func TestAProxyIsAsked(t *testing.T) {
	served := &proxy{held: make(chan struct{})}
	server := httptest.NewServer(served)
	defer server.Close()
	defer close(served.held)
	client, err := OpenLiteLLM(server.URL, "sk-"+"test", LiteLLMOptions{Timeout: 10 * time.Second, MaxIdle: 2})
	must(t, err)
	defer client.Close()
	ctx := context.Background()
	reply, err := client.Call(ctx, "POST", "/any", []byte("{}"))
	must(t, err)
	if reply.Status != 200 || string(reply.Body) != `{"echo": true}` || reply.CostNano != 12_500 ||
		reply.Header("X-LiteLLM-Response-Cost") == "" || reply.Header("absent") != "" {
		t.Fatalf("%+v", reply)
	}
	_, err = client.Call(ctx, "GET", "/refused", nil)
	wantCode(t, err, ErrRateLimited)
	var told *LiteLLMError
	if !errors.As(err, &told) || told.Status != 429 || told.Message != "slow down" || told.Type != "throttling_error" {
		t.Fatalf("%+v", told)
	}
	for name, call := range map[string]func() (*Reply, error){
		"GET /v1/models":            func() (*Reply, error) { return client.Models(ctx) },
		"GET /health/readiness":     func() (*Reply, error) { return client.Health(ctx) },
		"GET /model/info":           func() (*Reply, error) { return client.ModelInfo(ctx) },
		"POST /key/generate":        func() (*Reply, error) { return client.KeyGenerate(ctx, []byte("{}")) },
		"GET /key/info":             func() (*Reply, error) { return client.KeyInfo(ctx, "abc") },
		"GET /key/list":             func() (*Reply, error) { return client.KeyList(ctx) },
		"POST /key/update":          func() (*Reply, error) { return client.KeyUpdate(ctx, []byte("{}")) },
		"POST /key/delete":          func() (*Reply, error) { return client.KeyDelete(ctx, "abc") },
		"POST /team/new":            func() (*Reply, error) { return client.TeamNew(ctx, []byte("{}")) },
		"GET /team/info":            func() (*Reply, error) { return client.TeamInfo(ctx, "t") },
		"POST /team/update":         func() (*Reply, error) { return client.TeamUpdate(ctx, []byte("{}")) },
		"POST /team/delete":         func() (*Reply, error) { return client.TeamDelete(ctx, "t") },
		"PATCH /model/m1/update":    func() (*Reply, error) { return client.ModelPatch(ctx, "m1", []byte(`{"model_name": "x"}`)) },
		"GET /spend/keys":           func() (*Reply, error) { return client.SpendKeys(ctx, nil) },
		"POST /v1/chat/completions": func() (*Reply, error) { return client.Chat(ctx, []byte("{}")) },
	} {
		_, err := call()
		if err != nil {
			t.Fatal(name, err)
		}
		served.mu.Lock()
		want(t, "path", served.paths[len(served.paths)-1], name)
		served.mu.Unlock()
	}
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = client.Call(soon, "GET", "/slow", nil)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
}

func TestStreamsAreReadEventByEvent(t *testing.T) {
	server := httptest.NewServer(&proxy{})
	defer server.Close()
	client, err := OpenLiteLLM(server.URL, "k", LiteLLMOptions{})
	must(t, err)
	defer client.Close()
	ctx := context.Background()
	body := []byte(`{"stream":true}`)
	var events []string
	reply, err := client.ChatStream(ctx, body, func(event []byte) error {
		events = append(events, string(event))
		return nil
	})
	must(t, err)
	want(t, "events", len(events), 2)
	want(t, "first", events[0], `{"n": 1}`)
	if reply.Usage == nil || reply.Usage.Input != 3 || reply.Usage.Output != 4 {
		t.Fatalf("%+v", reply.Usage)
	}
	enough := errors.New("enough")
	_, err = client.ChatStream(ctx, body, func([]byte) error { return enough })
	wantCode(t, err, ErrCallback)
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	func() {
		defer func() { want(t, "panic", recover().(string), "out of it") }()
		client.ChatStream(ctx, body, func([]byte) error { panic("out of it") })
	}()
	_, err = client.ResponseStream(ctx, body, func([]byte) error { return nil })
	must(t, err)
}
