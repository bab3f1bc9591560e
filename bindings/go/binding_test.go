package aicp

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
)

// The library's headers, in a checkout of the project; nil in a module that was downloaded alone.
func headers(t *testing.T) []string {
	t.Helper()
	paths, _ := filepath.Glob("../../include/aicp/*.h")
	if len(paths) == 0 {
		t.Skip("the library's headers are not beside this module")
	}
	comment := regexp.MustCompile(`(?s)/\*.*?\*/`)
	texts := make([]string, len(paths))
	for i, path := range paths {
		texts[i] = comment.ReplaceAllString(read(t, path), " ")
	}
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// layer is the text of this package without its tests.
func layer(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	must(t, err)
	var all strings.Builder
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			all.WriteString(read(t, path))
		}
	}
	return all.String() + read(t, "internal/capi/capi.go")
}

var word = regexp.MustCompile(`\w+`)

// words are the names in a text.
func words(text string) map[string]bool {
	found := map[string]bool{}
	for _, name := range word.FindAllString(text, -1) {
		found[name] = true
	}
	return found
}

func functions(t *testing.T) []string {
	t.Helper()
	declared := regexp.MustCompile(`(?s)AICP_API[^;(]*?\b(aicp_\w+)\(`)
	var names []string
	for _, text := range headers(t) {
		for _, match := range declared.FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
	}
	if len(names) < 200 {
		t.Fatalf("only %d functions were found in the headers", len(names))
	}
	return names
}

func report(t *testing.T, what string, names []string) {
	t.Helper()
	if len(names) > 0 {
		sort.Strings(names)
		t.Fatalf("%s: %s", what, strings.Join(names, ", "))
	}
}

// Functions that Go has in another form.
var otherForm = map[string]string{
	"aicp_litellm_stream":            "aicp_litellm_stream_go, with a function of Go",
	"aicp_litellm_chat_stream":       "the same with its path",
	"aicp_litellm_response_stream":   "the same with its path",
	"aicp_policy_request_set_lookup": "aicp_policy_request_set_lookup_go, with a function of Go",
}

// Functions that the layer needs not.
var notInLayer = regexp.MustCompile(`^aicp_(\w+_ref|error_clear|tokenizer_encode|limit_(request|result)_init|ledger_(status|request|result|` +
	`settlement|adjustment|metrics)_init)$`)

func TestNoPublicFunctionIsMissing(t *testing.T) {
	generated := read(t, "internal/capi/aicp.go")
	var missing []string
	for _, name := range functions(t) {
		if otherForm[name] == "" && !strings.Contains(generated, "func A"+name[1:]+"(") {
			missing = append(missing, name)
		}
	}
	report(t, "not in internal/capi (run scripts/go_binding.py)", missing)
}

func TestEveryFunctionIsUsedByTheLayer(t *testing.T) {
	used := words(layer(t))
	var unused []string
	for _, name := range functions(t) {
		if otherForm[name] == "" && !notInLayer.MatchString(name) && !used["A"+name[1:]] {
			unused = append(unused, name)
		}
	}
	report(t, "no way to it from Go", unused)
}

func TestEveryConstantIsThere(t *testing.T) {
	known := words(read(t, "internal/capi/records.go"))
	enum := regexp.MustCompile(`(?s)enum\s*\{([^{}#]*)\}`)
	define := regexp.MustCompile(`(?m)^#define (AICP_[A-Z0-9_]+)[ \t]+[^\s\\]`)
	name := regexp.MustCompile(`\b(AICP_[A-Z0-9_]+)\s*(?:[=,}]|$)`)
	ignored := regexp.MustCompile(`_(INIT|H)$|^AICP_(API|(BEGIN|END)_DECL|MUST_CHECK|VERSION_\w+|NONNULL)$`)
	var names, missing []string
	for _, text := range headers(t) {
		for _, body := range enum.FindAllStringSubmatch(text, -1) {
			for _, match := range name.FindAllStringSubmatch(body[1], -1) {
				names = append(names, match[1])
			}
		}
		for _, match := range define.FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
	}
	for _, name := range names {
		if !ignored.MatchString(name) && !known[name] {
			missing = append(missing, name)
		}
	}
	if len(names) < 100 {
		t.Fatalf("only %d constants were found", len(names))
	}
	report(t, "not in internal/capi/records.go", missing)
}

func TestEveryCodeHasItsError(t *testing.T) {
	var missing []string
	used := words(read(t, "errors.go"))
	code := regexp.MustCompile(`const (AICP_ERR_[A-Z_]+) =`)
	for _, match := range code.FindAllStringSubmatch(read(t, "internal/capi/records.go"), -1) {
		if !used[match[1]] {
			missing = append(missing, match[1])
		}
	}
	report(t, "without an error in errors.go", missing)
	want(t, "name", ErrParse.Name(), "ERR_PARSE")
	want(t, "text", ErrParse.Error(), "malformed input")
}

// Members that Go neither gives nor gets, and structures that it does not use.
var (
	notForGo = regexp.MustCompile(`^(Size|Allocator|Clock|Log|Log_user|Source|Trace|Internal|Reserved\d?|Account_len)$`)
	noRecord = regexp.MustCompile(`^Lease(Request|Grant|Source)$`)
)

func TestEveryMemberOfAStructureIsUsed(t *testing.T) {
	used := words(layer(t))
	record := regexp.MustCompile(`(?s)type (\w+) struct \{\n(.*?)\n\}`)
	member := regexp.MustCompile(`(?m)^\t([A-Z]\w*)`)
	var missing []string
	checked := 0
	for _, match := range record.FindAllStringSubmatch(read(t, "internal/capi/records.go"), -1) {
		if noRecord.MatchString(match[1]) {
			continue
		}
		checked++
		for _, found := range member.FindAllStringSubmatch(match[2], -1) {
			if !notForGo.MatchString(found[1]) && !used[found[1]] {
				missing = append(missing, match[1]+"."+found[1])
			}
		}
	}
	if checked < 20 {
		t.Fatalf("only %d structures were found", checked)
	}
	report(t, "not used by the layer", missing)
}

func TestEveryHandleAndStructureHasAGoType(t *testing.T) {
	headers(t)
	types := read(t, "types.i")
	handle := regexp.MustCompile(`(?m)^HANDLE\((\w+)\)`)
	for _, match := range handle.FindAllStringSubmatch(read(t, "../aicp.i"), -1) {
		if !strings.Contains(types, "GO_HANDLE("+match[1]+",") {
			t.Errorf("types.i does not say what %s is called in Go", match[1])
		}
	}
	// What types.i does not know comes out as an address without a type.
	loose := regexp.MustCompile(`(?m)^func (Aicp_\w+)\([^)]*\b(uintptr|Aicp_\w+)\b`)
	for _, match := range loose.FindAllStringSubmatch(read(t, "internal/capi/aicp.go"), -1) {
		t.Errorf("%s takes something that types.i does not know", match[1])
	}
}

// -- nothing crashes ---------------------------------------------------------------------------------

func TestZeroValuesAndClosedObjectsAreErrors(t *testing.T) {
	ctx := context.Background()
	wantCode(t, (&Gate{}).Flush(ctx), ErrState)
	_, err := (&Gate{}).Check(ctx, &Request{})
	wantCode(t, err, ErrState)
	_, _, err = (&Decision{}).Output(nil)
	wantCode(t, err, ErrState)
	want(t, "allowed", (&Decision{}).Allowed(), false)
	_, err = (&Ledger{}).TryReserve(Reservation{})
	wantCode(t, err, ErrState)
	_, err = (&LiteLLM{}).Models(ctx)
	wantCode(t, err, ErrState)
	_, err = (&Tokenizer{}).Encode("x", SpecialOrdinary)
	wantCode(t, err, ErrState)
	limiter, err := NewLimiter(LimiterOptions{})
	must(t, err)
	rules, err := ParseLimitRules([]byte("[]"), 0)
	must(t, err)
	must(t, rules.Close())
	must(t, rules.Close())
	_, err = limiter.Take(rules, &LimitRequest{})
	wantCode(t, err, ErrState)
	want(t, "length", rules.Len(), 0)
	must(t, (&Gate{}).Close())
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	_, err := ParsePolicies("permit(principal,\n  action resource);", PolicyOptions{})
	wantCode(t, err, ErrParse)
	e := err.(*Error)
	if e.Line != 2 || e.Column != 10 || e.Message == "" || e.Code != ErrParse {
		t.Fatalf("%+v", e)
	}
	contains(t, err.Error(), "line 2, column 10: ")
}

// -- nothing leaks -----------------------------------------------------------------------------------

func TestWhatIsDroppedIsFreed(t *testing.T) {
	collected(t, 1<<30)
	before := atomic.LoadInt64(&live)
	func() {
		gate, err := OpenGate(GateOptions{Bundle: bundleFolder(t)})
		must(t, err)
		check(t, gate, Request{Team: "careless"}).Close()
		kept := atomic.LoadInt64(&live)
		for i := 0; i < 20; i++ {
			// Each reserves 0.0008 of 0.001 USD: the next fits only when the last was given back.
			d := check(t, gate, Request{Body: chat("gpt-4o", "a@example.com", 400), Key: "k", Team: "careless"})
			if !d.Allowed() || d.MaxTokens() != -1 {
				t.Fatalf("round %d: %s", i, d.Message())
			}
			stream, err := d.Stream()
			must(t, err)
			_ = stream
			d, stream = nil, nil
			collected(t, kept)
		}
		set, err := ParsePolicies("permit(principal, action, resource);", PolicyOptions{})
		must(t, err)
		_, err = NewAuthorizer(set, nil)
		must(t, err)
		_, err = NewGuardSession()
		must(t, err)
		_, err = OpenLedger("sqlite::memory:", LedgerOptions{})
		must(t, err)
		r, err := NewCostRequest()
		must(t, err)
		must(t, r.AddText(strings.Repeat("x", 1000)))
	}()
	collected(t, before)
}

func residentKB(t *testing.T) int {
	t.Helper()
	var size, resident int
	_, err := fmt.Sscan(read(t, "/proc/self/statm"), &size, &resident)
	must(t, err)
	return resident * os.Getpagesize() / 1024
}

// The race detector keeps memory of its own for all that was ever touched.
var raceDetector = false

func TestMemoryDoesNotGrow(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory grows")
	}
	rules, err := ParseLimitRules([]byte(`[{"id": "r", "kind": "requests", "limit": 1, "window": "1h"}]`), 0)
	must(t, err)
	limiter, err := NewLimiter(LimiterOptions{})
	must(t, err)
	gate := openGate(t, GateOptions{})
	profile, err := ParseGuardProfile([]byte("{}"), [32]byte{})
	must(t, err)
	for name, call := range map[string]func(){
		"parse": func() {
			set, _ := ParsePolicies("permit(principal, action, resource);", PolicyOptions{})
			set.Close()
		},
		"fail": func() { ParsePolicies("permit(", PolicyOptions{}) },
		"take": func() { limiter.Take(rules, &LimitRequest{User: "u"}) },
		"scan": func() { profile.Scan([]byte("a@example.com"), ScanOptions{}) },
		"check": func() {
			d, err := gate.TryCheck(&Request{Body: chat("gpt-4o", "a@example.com", 5)})
			if err == nil {
				d.OutputText([]byte("x"))
				d.Close()
			}
			gate.Events() // which are kept until someone takes them
		},
		"cost": func() {
			r, _ := NewCostRequest()
			r.Parse([]byte(`{"model": "m", "messages": []}`))
			r.Close()
		},
	} {
		least := 1 << 30
		for round := 0; round < 4; round++ { // a leak grows each time, the allocators' own habits do not
			debug.FreeOSMemory()
			start := residentKB(t)
			for i := 0; i < 1500; i++ {
				call()
			}
			debug.FreeOSMemory()
			if grown := residentKB(t) - start; grown < least {
				least = grown
			}
		}
		if least > 128 {
			t.Errorf("%s: %d KB more after 1,500 calls", name, least)
		}
	}
}
