package aicp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sections is a bundle with something for every step.
var sections = map[string]string{
	"policies.cedar": `@id("all") permit(principal, action, resource);
		@id("no-big") @reason("team red may not use gpt-5") @advice("ask for gpt-4o")
		forbid(principal in AICP::Team::"red", action, resource == AICP::Model::"gpt-5");`,
	"entities.json": "[]",
	"overrides.json": `{
		"gpt-4o": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "max_output_tokens": 1000,
			"litellm_provider": "openai", "mode": "chat"},
		"gpt-5": {"input_cost_per_token": 1e-06, "output_cost_per_token": 8e-06, "max_output_tokens": 1000,
			"litellm_provider": "openai", "mode": "chat"}}`,
	"limits.json":     `[{"id": "rpm", "kind": "requests", "limit": 2, "window": "1m", "per": ["user"]}]`,
	"guardrails.json": `{"default": "p", "profiles": [{"name": "p", "pii": {"action": "anonymize"}}]}`,
	"accounts.json":   `[{"id": "team", "per": ["team"], "hard": "0.001", "duration": "1mo"}]`,
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, folder, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
}

func bundleFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range sections {
		write(t, folder, name, text)
	}
	must(t, SealBundle(folder, "v1"))
	return folder
}

func openGate(t testing.TB, o GateOptions) *Gate {
	t.Helper()
	if o.Bundle == "" {
		o.Bundle = bundleFolder(t)
	}
	gate, err := OpenGate(o)
	must(t, err)
	t.Cleanup(func() { gate.Close() })
	return gate
}

func chat(model, text string, maxTokens int) []byte {
	body, _ := json.Marshal(map[string]any{
		"model": model, "max_tokens": maxTokens,
		"messages": []map[string]string{{"role": "user", "content": text}},
	})
	return body
}

func check(t testing.TB, gate *Gate, r Request) *Decision {
	t.Helper()
	if r.Body == nil {
		r.Body = chat("gpt-4o", "hello", 10)
	}
	d, err := gate.Check(context.Background(), &r)
	must(t, err)
	return d
}

func wantCode(t testing.TB, err error, code Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code.Name())
	}
}

func want[T comparable](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Fatalf("%s: got %v, want %v", what, got, wanted)
	}
}

// collected waits until the collector has freed all but most objects of the library.
func collected(t testing.TB, most int64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		runtime.GC()
		n := atomic.LoadInt64(&live)
		if n <= most {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d objects are alive, %d were before", n, most)
		}
		runtime.Gosched()
	}
}

func contains(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%q does not hold %q", text, part)
	}
}
