package aicp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestARefusalTellsWhyAndWhatHelps(t *testing.T) {
	gate := openGate(t, GateOptions{})
	d := check(t, gate, Request{Body: chat("gpt-5", "hello", 10), Key: "k", Team: "red"})
	defer d.Close()
	want(t, "allowed", d.Allowed(), false)
	want(t, "status", d.HTTPStatus(), 403)
	want(t, "step", d.Step(), "policy")
	want(t, "rule", d.Rule(), "no-big")
	contains(t, d.Message(), "team red may not use gpt-5")
	contains(t, d.Advice(), "gpt-4o")
	if d.Type() == "" || d.ID() == "" {
		t.Fatal("no type or id")
	}
	text, err := d.JSON()
	must(t, err)
	contains(t, string(text), "no-big")
}

func TestLimitsComeWithHeaders(t *testing.T) {
	gate := openGate(t, GateOptions{})
	for i := 0; i < 3; i++ {
		d := check(t, gate, Request{User: "bob"})
		want(t, "allowed", d.Allowed(), i < 2)
		if i == 2 {
			want(t, "status", d.HTTPStatus(), 429)
			if d.Header().Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		}
		defer d.Close() // closed at once, it would give its request back
	}
}

func TestTextsAreAnonymisedAndRestored(t *testing.T) {
	gate := openGate(t, GateOptions{})
	d := check(t, gate, Request{Body: chat("gpt-4o", "mail bob.smith@example.com", 10), Key: "k"})
	defer d.Close()
	want(t, "changed", d.BodyChanged(), true)
	contains(t, string(d.Body()), "mail <EMAIL_ADDRESS_1>")
	want(t, "findings", d.Findings(), 1)
	if d.Risk() <= 0 || d.InputTokens() <= 0 || d.Elapsed("") <= 0 || d.Elapsed("guardrail") <= 0 || d.Elapsed("x") != 0 {
		t.Fatal("figures are missing")
	}
	answer := []byte(`{"choices":[{"message":{"role":"assistant","content":"to <EMAIL_ADDRESS_1>"}}]}`)
	out, ok, err := d.Output(answer)
	must(t, err)
	want(t, "ok", ok, true)
	contains(t, string(out), "to bob.smith@example.com")
	plain := []byte(`{"choices":[{"message":{"role":"assistant","content":"x"}}]}`)
	out, ok, err = d.Output(plain)
	must(t, err)
	if !ok || &out[0] != &plain[0] {
		t.Fatal("an answer without findings must come back as it is")
	}
	out, ok, err = d.OutputText([]byte("<EMAIL_ADDRESS_1>"))
	must(t, err)
	want(t, "text", string(out), "bob.smith@example.com")
	want(t, "ok", ok, true)
	stream, err := d.Stream()
	must(t, err)
	var all []byte
	for _, piece := range []string{"to <EMA", "IL_ADDR", "ESS_1> ok", ""} {
		out, ok, err := stream.Feed([]byte(piece), piece == "")
		must(t, err)
		want(t, "ok", ok, true)
		all = append(all, out...)
	}
	want(t, "streamed", string(all), "to bob.smith@example.com ok")
	must(t, stream.Close())
	if _, _, err = stream.Feed(nil, true); !errors.Is(err, ErrState) {
		t.Fatal(err)
	}
}

func TestABudgetIsSpentAndGivenBack(t *testing.T) {
	gate := openGate(t, GateOptions{})
	big := Request{Body: chat("gpt-4o", "hello", 400), Key: "k", Team: "poor"} // 0.0008 of 0.001 USD
	first := check(t, gate, big)
	want(t, "first", first.Allowed(), true)
	if first.Reserved() < 800_000 || first.CostExpected() <= 0 {
		t.Fatal("nothing reserved")
	}
	second := check(t, gate, big)
	if second.Allowed() && second.MaxTokens() < 0 {
		t.Fatal("admitted twice")
	}
	must(t, second.Close())
	must(t, first.Release())
	must(t, first.Close())
	third := check(t, gate, big)
	want(t, "third", third.Allowed() && third.MaxTokens() == -1, true)
	must(t, third.Renew())
	must(t, third.ServedBy("gpt-4o"))
	nano, err := third.SettleCost(Usage{PromptTokens: 8}, 999_999)
	must(t, err)
	want(t, "booked", nano, int64(999_999))
	_, err = third.Settle(Usage{})
	wantCode(t, err, ErrState)
	want(t, "spent", check(t, gate, big).HTTPStatus(), 422)
	d := check(t, gate, Request{Team: "rich"})
	nano, err = d.Settle(Usage{PromptTokens: 10, CompletionTokens: 5})
	must(t, err)
	want(t, "priced", nano, int64(10*1_000+5*2_000))
}

func TestFallbacksAreAskedAbout(t *testing.T) {
	gate := openGate(t, GateOptions{})
	for team, wanted := range map[string]bool{"red": false, "blue": true} {
		d := check(t, gate, Request{Team: team})
		allowed, err := d.Candidate(context.Background(), "gpt-5")
		must(t, err)
		want(t, team, allowed, wanted)
		must(t, d.Close())
	}
}

func TestNothingWaitsUnlessTold(t *testing.T) {
	gate := openGate(t, GateOptions{})
	r := &Request{Body: chat("gpt-4o", "hello", 10), Team: "blue"}
	_, err := gate.TryCheck(r)
	wantCode(t, err, ErrWouldBlock) // the account was never looked at
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = gate.Check(ctx, r)
	wantCode(t, err, ErrTimeout)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v does not tell the context's end", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := gate.Check(ctx, r)
	must(t, err)
	must(t, d.Close())
	d, err = gate.TryCheck(r)
	must(t, err)
	want(t, "warm", d.Allowed(), true)
	must(t, d.Close())
}

func TestNewVersionsComeIntoForce(t *testing.T) {
	folder := bundleFolder(t)
	gate := openGate(t, GateOptions{Bundle: folder})
	version, err := gate.BundleVersion()
	must(t, err)
	want(t, "version", version, "v1")
	write(t, folder, "policies.cedar", "forbid(principal, action, resource);")
	must(t, SealBundle(folder, "v2"))
	changed, err := gate.Reload()
	must(t, err)
	want(t, "changed", changed, true)
	want(t, "allowed", check(t, gate, Request{}).Allowed(), false)
	write(t, folder, "policies.cedar", "forbid(principal,\n action")
	err = SealBundle(folder, "v3")
	var e *Error
	if !errors.As(err, &e) || e.Line != 2 {
		t.Fatalf("no place in %v", err)
	}
	if _, err := OpenBundle(folder); err == nil {
		t.Fatal("a broken bundle was taken")
	}
	version, _ = gate.BundleVersion()
	want(t, "version", version, "v2")
}

func TestABundleCanBeLoadedByHand(t *testing.T) {
	bundle, err := OpenBundle(bundleFolder(t))
	must(t, err)
	defer bundle.Close()
	want(t, "version", bundle.Version(), "v1")
	text, err := bundle.Describe()
	must(t, err)
	contains(t, string(text), "policies")
	gate, err := OpenGate(GateOptions{})
	must(t, err)
	defer gate.Close()
	_, err = gate.TryCheck(&Request{Body: chat("gpt-4o", "x", 1)})
	wantCode(t, err, ErrState)
	must(t, gate.Load(bundle))
	want(t, "allowed", check(t, gate, Request{}).Allowed(), true)
	must(t, gate.Flush(context.Background()))
	events, err := gate.Events()
	must(t, err)
	contains(t, string(events), "\n")
	metrics, err := gate.Metrics()
	must(t, err)
	contains(t, string(metrics), "v1")
}

func TestBrokenInputIsRefusedOrAnError(t *testing.T) {
	gate := openGate(t, GateOptions{})
	for _, body := range []string{"{", "[]", `"x"`, "\xff"} {
		d := check(t, gate, Request{Body: []byte(body)})
		want(t, body, d.HTTPStatus(), 400)
		must(t, d.Close())
	}
	_, err := gate.TryCheck(&Request{Body: []byte("{}"), Action: 99})
	wantCode(t, err, ErrInvalid)
	_, err = gate.TryCheck(&Request{Body: []byte("{}"), Team: strings.Repeat("x", 2000)})
	if err == nil {
		t.Fatal("a text that is too long was taken")
	}
	_, err = OpenGate(GateOptions{Bundle: "a\x00b"})
	wantCode(t, err, ErrInvalid)
	_, err = OpenGate(GateOptions{Bundle: "/does/not/exist"})
	if err == nil {
		t.Fatal("no error for a bundle that is not there")
	}
	want(t, "later", check(t, gate, Request{}).Allowed(), true)
}

func TestTheGateOutlivesItsClose(t *testing.T) {
	gate := openGate(t, GateOptions{})
	d := check(t, gate, Request{Body: chat("gpt-4o", "mail a@example.com", 10)})
	stream, err := d.Stream()
	must(t, err)
	must(t, gate.Close())
	_, err = gate.TryCheck(&Request{Body: []byte("{}")})
	wantCode(t, err, ErrState)
	_, ok, err := d.OutputText([]byte("x"))
	must(t, err)
	want(t, "ok", ok, true)
	must(t, d.Close())
	want(t, "closed decision allows", d.Allowed(), false)
	out, ok, err := stream.Feed([]byte("x"), true)
	must(t, err)
	want(t, "ok", ok, true)
	want(t, "out", string(out), "x")
	must(t, stream.Close())
	must(t, gate.Close())
}

func TestExactlyAsManyAreAdmittedAsTheBudgetHolds(t *testing.T) {
	const tasks, rounds, fit = 32, 8, 4
	for _, store := range []string{"", "sqlite:///" + t.TempDir() + "/ledger.db"} {
		gate := openGate(t, GateOptions{Store: store})
		body := chat("gpt-4o", "hello", 100) // 0.000208 of 0.001 USD: four fit
		var admitted int64
		var wg sync.WaitGroup
		for n := 0; n < tasks; n++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; i < rounds; i++ {
					d, err := gate.Check(context.Background(), &Request{Body: body, Key: "k", Team: "shared"})
					if err != nil {
						t.Error(err)
						return
					}
					if d.Allowed() && d.MaxTokens() == -1 {
						atomic.AddInt64(&admitted, 1)
						if _, err := d.SettleCost(Usage{}, 208_000); err != nil {
							t.Error(err)
						}
					}
					d.Close()
				}
			}()
		}
		wg.Wait()
		want(t, "admitted", admitted, int64(fit))
	}
}

func TestManyGoroutinesShareAGate(t *testing.T) {
	gate := openGate(t, GateOptions{})
	var wg sync.WaitGroup
	for n := 0; n < 16; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for i := 0; i < 40; i++ {
				address := fmt.Sprintf("p%dx%d@example.com", n, i)
				r := Request{Body: chat("gpt-4o", "mail "+address, 10), Key: fmt.Sprint("k", n), Tags: []string{"a", "b"}}
				d, err := gate.Check(context.Background(), &r)
				if err != nil {
					t.Error(err)
					return
				}
				out, _, err := d.OutputText([]byte("<EMAIL_ADDRESS_1>"))
				if err != nil || string(out) != address {
					t.Errorf("%s: %s %v", address, out, err)
				}
				if n%2 == 0 { // the others are left to the collector
					d.Close()
				}
			}
		}(n)
	}
	wg.Wait()
}

func TestOneDecisionInTwoGoroutinesDoesNoHarm(t *testing.T) {
	gate := openGate(t, GateOptions{})
	d := check(t, gate, Request{Body: chat("gpt-4o", "mail a@example.com", 10), Team: "blue"})
	var wg sync.WaitGroup
	for n := 0; n < 4; n++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			for i := 0; i < 200; i++ {
				d.OutputText([]byte("to <EMAIL_ADDRESS_1>"))
				d.Candidate(context.Background(), "gpt-5")
				_ = d.Model()
				if n == 0 && i == 150 {
					d.Close()
				}
			}
		}(n)
	}
	wg.Wait()
}

func TestBackgroundFollowsTheBundleAndWritesEvents(t *testing.T) {
	folder := bundleFolder(t)
	events := t.TempDir() + "/events.jsonl"
	gate := openGate(t, GateOptions{Bundle: folder, Background: true, Watch: 10 * time.Millisecond, Events: events})
	check(t, gate, Request{}).Close()
	must(t, SealBundle(folder, "v2"))
	for end := time.Now().Add(20 * time.Second); ; {
		version, err := gate.BundleVersion()
		must(t, err)
		if version == "v2" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new version never came")
		}
		time.Sleep(5 * time.Millisecond)
	}
	must(t, gate.Close())
	text, err := os.ReadFile(events)
	must(t, err)
	contains(t, string(text), "{")
}

func TestRulesComeFromAServer(t *testing.T) {
	folder := bundleFolder(t)
	key := strings.Repeat("k", 32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key && r.Header.Get("X-Service-Key") != key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/api/v1/gate/bundle" {
			w.Header().Set("ETag", `"1"`)
			http.ServeFile(w, r, folder+"/manifest.json")
			return
		}
		for name, text := range sections {
			sum := sha256.Sum256([]byte(text))
			if strings.HasSuffix(r.URL.Path, "/sections/"+hex.EncodeToString(sum[:])) {
				http.ServeFile(w, r, folder+"/"+name)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	cache := t.TempDir() + "/copy"
	gate, err := OpenGate(GateOptions{BundleURL: server.URL, ServiceKey: key, Cache: cache, Node: "n"})
	must(t, err)
	defer gate.Close()
	want(t, "allowed", check(t, gate, Request{}).Allowed(), true)
	if _, err := os.Stat(cache); err != nil {
		t.Fatal("no disk copy: ", err)
	}
	_, err = OpenGate(GateOptions{BundleURL: server.URL, ServiceKey: strings.Repeat("x", 32), Cache: t.TempDir() + "/copy"})
	if err == nil {
		t.Fatal("a wrong key was taken")
	}
}

func TestAQuestionWrittenDownIsAskedAsTheGateWouldAsk(t *testing.T) {
	policies, err := ParsePolicies(sections["policies.cedar"], PolicyOptions{IDFromAnnotation: true})
	must(t, err)
	defer policies.Close()
	prices, err := ParsePrices([]byte(sections["overrides.json"]), PriceOptions{})
	must(t, err)
	defer prices.Close()
	authorizer, err := NewAuthorizer(policies, nil)
	must(t, err)
	defer authorizer.Close()
	for team, reason := range map[string]string{"red": "no-big", "blue": "all"} {
		r, err := Question([]byte(`{"model": "gpt-5", "action": "`+Chat.String()+`", "team": "`+team+`"}`), nil, prices)
		must(t, err)
		answer, err := authorizer.Authorize(r)
		must(t, err)
		if answer.Allowed != (team == "blue") || answer.Reasons[0] != reason {
			t.Errorf("team %s: %+v", team, answer)
		}
		r.Close()
	}
	var failure *Error
	if _, err := Question([]byte(`{"model": 7}`), nil, nil); !errors.As(err, &failure) || failure.Column != 11 {
		t.Errorf("a model that is no text: %v", err)
	}
	if names := Fields(); names[0] != "key" || len(names) != 10 {
		t.Errorf("fields: %v", names)
	}
}
