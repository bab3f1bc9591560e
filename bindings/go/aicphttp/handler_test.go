package aicphttp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	aicp "aicp.dev/go"
)

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
	"limits.json": `[{"id": "rpm", "kind": "requests", "limit": 2, "window": "1m", "per": ["user"]}]`,
	"guardrails.json": `{"default": "p", "profiles": [{"name": "p", "pii": {"action": "anonymize",
		"entities": {"US_SSN": {"action": "block"}}}}]}`,
	"accounts.json": `[{"id": "team", "per": ["team"], "hard": "0.001", "duration": "1mo"}]`,
}

// world is a client, a governed reverse proxy, and an upstream.
type world struct {
	t        *testing.T
	gate     *aicp.Gate
	url      string
	upstream func(w http.ResponseWriter, r *http.Request, body string)
	mu       sync.Mutex
	bodies   []string
	headers  []http.Header
	errors   []error
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, change func(o *Options)) *world {
	t.Helper()
	folder := t.TempDir()
	for name, text := range sections {
		must(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	must(t, aicp.SealBundle(folder, "v1"))
	gate, err := aicp.OpenGate(aicp.GateOptions{Bundle: folder})
	must(t, err)
	t.Cleanup(func() { gate.Close() })
	wd := &world{t: t, gate: gate}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		wd.mu.Lock()
		wd.bodies = append(wd.bodies, string(body))
		wd.headers = append(wd.headers, r.Header)
		wd.mu.Unlock()
		wd.upstream(w, r, string(body))
	}))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	o := Options{
		Gate: gate, Headers: SubjectHeaders{Team: "X-Team", User: "X-User", Tags: "X-Tags"},
		Log: func(err error) {
			wd.mu.Lock()
			wd.errors = append(wd.errors, err)
			wd.mu.Unlock()
		},
	}
	if change != nil {
		change(&o)
	}
	governed := httptest.NewUnstartedServer(New(proxy, o))
	governed.Config.ErrorLog = log.New(io.Discard, "", 0)
	governed.Start()
	t.Cleanup(governed.Close)
	wd.url = governed.URL
	return wd
}

func (wd *world) request(ctx context.Context, path, body string, headers ...string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, "POST", wd.url+path, strings.NewReader(body))
	must(wd.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+"sk-client")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (wd *world) post(path, body string, headers ...string) (*http.Response, string) {
	wd.t.Helper()
	answer, err := http.DefaultClient.Do(wd.request(context.Background(), path, body, headers...))
	must(wd.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(wd.t, err)
	return answer, string(text)
}

// figures are the gate's counters.
type figures struct {
	InFlight int `json:"in_flight"`
	Settled  int
	Ledger   struct{ Released int }
}

// ended waits until no call is under way, and gives what was booked of the last one.
func (wd *world) ended() (figures, map[string]any) {
	wd.t.Helper()
	var f figures
	for end := time.Now().Add(20 * time.Second); ; {
		text, err := wd.gate.Metrics()
		must(wd.t, err)
		must(wd.t, json.Unmarshal(text, &f))
		if f.InFlight == 0 {
			break
		}
		if time.Now().After(end) {
			wd.t.Fatalf("calls are still under way: %s", text)
		}
		time.Sleep(time.Millisecond)
	}
	lines, err := wd.gate.Events()
	must(wd.t, err)
	var booked map[string]any
	for _, line := range bytes.Split(lines, []byte("\n")) {
		var event map[string]any
		if json.Unmarshal(line, &event) == nil && event["event"] == "settled" {
			booked = event
		}
	}
	return f, booked
}

func want[T comparable](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Fatalf("%s: got %v, want %v", what, got, wanted)
	}
}

func contains(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%q does not hold %q", text, part)
	}
}

func chat(text string, more ...string) string {
	return fmt.Sprintf(`{"model":"gpt-4o","max_tokens":50%s,"messages":[{"role":"user","content":%q}]}`,
		strings.Join(more, ""), text)
}

const (
	chatPath = "/v1/chat/completions"
	answered = `{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"to <EMAIL_ADDRESS_1>"},` +
		`"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}`
)

func answerWith(text string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, text)
	}
}

func TestAWholeAnswerIsMaskedRestoredAndSettled(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = answerWith(answered)
	answer, text := wd.post(chatPath, chat("mail bob.smith@example.com"), "X-Team", "blue", "X-Tags", "a, b")
	want(t, "status", answer.StatusCode, 200)
	contains(t, text, "to bob.smith@example.com")
	contains(t, wd.bodies[0], "mail <EMAIL_ADDRESS_1>")
	want(t, "length", answer.ContentLength, int64(len(text)))
	want(t, "subject sent on", wd.headers[0].Get("X-Team")+wd.headers[0].Get("X-Tags"), "")
	want(t, "key sent on", wd.headers[0].Get("Authorization"), "Bearer sk-client")
	if answer.Header.Get("X-Aicp-Decision-Id") == "" || answer.Header.Get("X-Guardrail-Risk") == "" {
		t.Fatal(answer.Header)
	}
	f, booked := wd.ended()
	want(t, "settled", f.Settled, 1)
	want(t, "input", booked["input_tokens"].(float64), 11)
	want(t, "output", booked["output_tokens"].(float64), 7)
	want(t, "team", booked["team"].(string), "blue")
	want(t, "key", booked["key"].(string), KeyOf(wd.request(context.Background(), "/", "")))
	want(t, "length of a hash", len(booked["key"].(string)), 64)
}

func TestRefusalsNeverReachTheUpstream(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = answerWith(answered)
	big := strings.Replace(chat("x"), "gpt-4o", "gpt-5", 1)
	answer, text := wd.post(chatPath, big, "X-Team", "red")
	want(t, "status", answer.StatusCode, 403)
	var told struct{ Error problem }
	must(t, json.Unmarshal([]byte(text), &told))
	contains(t, told.Error.Message, "team red may not use gpt-5")
	contains(t, told.Error.Advice, "gpt-4o")
	want(t, "step", told.Error.Step, "policy")
	answer, text = wd.post(chatPath, chat("my ssn is 536-22-1234, social security number"))
	want(t, "guardrail", answer.StatusCode, 400)
	contains(t, text, "guardrail")
	answer, _ = wd.post(chatPath, "{")
	want(t, "malformed", answer.StatusCode, 400)
	want(t, "calls of the upstream", len(wd.bodies), 0)
	wd.upstream = answerWith(strings.Replace(answered, `"completion_tokens":7`, `"completion_tokens":700`, 1))
	wd.post(chatPath, chat("x"), "X-Team", "poor")
	answer, text = wd.post(chatPath, chat("x"), "X-Team", "poor")
	want(t, "budget", answer.StatusCode, 422)
	contains(t, text, "budget")
	for i := 0; i < 3; i++ {
		answer, _ = wd.post(chatPath, chat("x"), "X-User", "bob")
	}
	want(t, "limit", answer.StatusCode, 429)
	if answer.Header.Get("Retry-After") == "" {
		t.Fatal("no Retry-After")
	}
	want(t, "calls of the upstream", len(wd.bodies), 3)
}

// stream sends events one by one.
func stream(events ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, event := range events {
			io.WriteString(w, event+"\n\n")
			w.(http.Flusher).Flush()
		}
	}
}

func delta(text, finish string) string {
	end := "null"
	if finish != "" {
		end = fmt.Sprintf("%q", finish)
	}
	return fmt.Sprintf(`data: {"id":"c","choices":[{"index":0,"delta":{"content":%q},"finish_reason":%s}],"usage":null}`, text, end)
}

// written joins the texts of a stream of chat chunks.
func written(t testing.TB, text string) string {
	t.Helper()
	var all strings.Builder
	for _, line := range strings.Split(text, "\n") {
		payload, ok := cutPrefix(line, "data: ")
		if !ok || payload == "[DONE]" {
			continue
		}
		var event struct {
			Choices []struct {
				Delta struct{ Content string }
				Text  string
			}
		}
		must(t, json.Unmarshal([]byte(payload), &event))
		for _, choice := range event.Choices {
			all.WriteString(choice.Delta.Content + choice.Text)
		}
	}
	return all.String()
}

const usageChunk = `data: {"id":"c","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30}}`

func TestAStreamIsRestoredAndSettledWithItsUsage(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = stream(delta("to <EMA", ""), delta("IL_ADDR", ""), delta("ESS_1> o", ""), delta("k", "stop"), usageChunk, "data: [DONE]")
	body := chat("mail bob.smith@example.com", `,"stream":true`)
	answer, text := wd.post(chatPath, body)
	want(t, "status", answer.StatusCode, 200)
	want(t, "written", written(t, text), "to bob.smith@example.com ok")
	contains(t, wd.bodies[0], `"stream_options":{"include_usage":true}`)
	if strings.Contains(text, "usage") || !strings.HasSuffix(text, "data: [DONE]\n\n") {
		t.Fatalf("the client did not ask for %q", text)
	}
	_, booked := wd.ended()
	want(t, "output", booked["output_tokens"].(float64), 9)
	_, text = wd.post(chatPath, chat("x", `,"stream":true,"stream_options":{"include_usage":true,"other":1}`))
	contains(t, text, `"completion_tokens":9`)
	contains(t, wd.bodies[1], `"other":1`)
}

func TestAStreamThatTellsNoUsageIsCounted(t *testing.T) {
	wd := newWorld(t, nil)
	// The upstream breaks off without an end; what a scanner held back must come out all the same.
	wd.upstream = stream(delta("one two ", ""), delta("three <EMAIL_ADDRESS_1", ""))
	_, text := wd.post(chatPath, chat("mail bob.smith@example.com", `,"stream":true`))
	want(t, "written", written(t, text), "one two three <EMAIL_ADDRESS_1")
	_, booked := wd.ended()
	if n := booked["output_tokens"].(float64); n < 4 || n > 20 {
		t.Fatalf("%v output tokens", n)
	}
}

func TestAStreamThatMustStopEndsWithAnError(t *testing.T) {
	wd := newWorld(t, nil)
	stopped := make(chan struct{})
	wd.upstream = func(w http.ResponseWriter, r *http.Request, body string) {
		stream(delta("hello ", ""), delta("social security number 536-22-1234 ", ""), delta("and more words ", ""))(w, r, body)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, delta("more ", "")+"\n\n"); err != nil {
				break
			}
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
		close(stopped)
	}
	_, text := wd.post(chatPath, chat("x", `,"stream":true`))
	if strings.Contains(text, "536-22-1234") {
		t.Fatal("it went out")
	}
	contains(t, text, `data: {"error":{"message":`)
	<-stopped // the model does not go on for nobody
	f, booked := wd.ended()
	want(t, "settled", f.Settled, 1)
	if booked["output_tokens"].(float64) < 5 {
		t.Fatal(booked)
	}
}

func TestTextsOfToolsAndOfSeveralChoicesAreKeptApart(t *testing.T) {
	wd := newWorld(t, nil)
	tool := func(index int, name, arguments, finish string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d%s,"function":{"arguments":%q}}]},"finish_reason":%s}]}`,
			index, name, arguments, finish)
	}
	wd.upstream = stream(
		`data: {"choices":[{"index":0,"delta":{"content":"a <EMAIL_"}},{"index":1,"delta":{"content":"b <EMAIL_"}}]}`,
		`data: {"choices":[{"index":1,"delta":{"content":"ADDRESS_1>"}},{"index":0,"delta":{"content":"ADDRESS_1>"}}]}`,
		tool(0, `,"id":"t"`, `{"to": "<EMAIL_ADDR`, "null"), tool(1, "", `{"n": 1}`, "null"), tool(0, "", `ESS_1>`, "null"),
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"},{"index":1,"delta":{},"finish_reason":"stop"}]}`,
		"data: [DONE]")
	_, text := wd.post(chatPath, chat("mail bob.smith@example.com", `,"stream":true`))
	contents, arguments := map[int]string{}, map[int]string{}
	for _, line := range strings.Split(text, "\n") {
		var event struct {
			Choices []struct {
				Index int
				Delta struct {
					Content   string
					ToolCalls []struct {
						Index    int
						Function struct{ Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		payload, _ := cutPrefix(line, "data: ")
		if json.Unmarshal([]byte(payload), &event) != nil {
			continue
		}
		for _, choice := range event.Choices {
			contents[choice.Index] += choice.Delta.Content
			for _, call := range choice.Delta.ToolCalls {
				arguments[call.Index] += call.Function.Arguments
			}
		}
	}
	want(t, "choice 0", contents[0], "a bob.smith@example.com")
	want(t, "choice 1", contents[1], "b bob.smith@example.com")
	want(t, "tool 0", arguments[0], `{"to": "bob.smith@example.com`)
	want(t, "tool 1", arguments[1], `{"n": 1}`)
}

func TestOtherStreamsAreReadToo(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = stream(
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":31,\"output_tokens\":1}}}",
		": a comment",
		"event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"to <EMAIL_ADDR\"}}",
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"ESS_1> <EMAIL\"}}",
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":12}}",
		"event: message_stop\ndata: {\"type\":\"message_stop\"}")
	_, text := wd.post("/v1/messages", chat("mail bob.smith@example.com", `,"stream":true`))
	contains(t, text, "bob.smith@example.com")
	contains(t, text, `"text":"<EMAIL"`)
	contains(t, text, ": a comment\n\n")
	_, booked := wd.ended()
	want(t, "input", booked["input_tokens"].(float64), 31)
	want(t, "output", booked["output_tokens"].(float64), 12)

	item := `"item_id":"i","output_index":0,"content_index":0`
	wd.upstream = stream(
		"data: {\"type\":\"response.output_text.delta\","+item+",\"delta\":\"to <EMAIL_ADDR\"}",
		"data: {\"type\":\"response.output_text.delta\","+item+",\"delta\":\"ESS_1> <EMA\"}",
		"data: {\"type\":\"response.output_text.done\","+item+",\"text\":\"to <EMAIL_ADDRESS_1> <EMA\"}",
		"data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"content\":[{\"type\":\"output_text\",\"text\":\"to <EMAIL_ADDRESS_1> <EMA\"}]}],"+
			"\"usage\":{\"input_tokens\":41,\"output_tokens\":5}}}")
	body := `{"model":"gpt-4o","max_output_tokens":50,"stream":true,"input":"mail bob.smith@example.com"}`
	_, text = wd.post("/v1/responses", body)
	want(t, "restored whole texts", strings.Count(text, `"text":"to bob.smith@example.com <EMA"`), 2)
	if strings.Contains(text, "EMAIL_ADDRESS") {
		t.Fatal(text)
	}
	_, booked = wd.ended()
	want(t, "output", booked["output_tokens"].(float64), 5)
}

func TestAFailedUpstreamCostsNothing(t *testing.T) {
	wd := newWorld(t, nil)
	for _, upstream := range []func(http.ResponseWriter, *http.Request, string){
		func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(500); io.WriteString(w, "oh") },
		func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, // hangs up
	} {
		wd.upstream = upstream
		// 0.0008 of 0.001 USD: the second fits only when the first was given back.
		answer, _ := wd.post(chatPath, strings.Replace(chat("x"), "50", "400", 1), "X-Team", "poor")
		if answer.StatusCode < 500 {
			t.Fatal(answer.StatusCode)
		}
	}
	f, booked := wd.ended()
	if f.Settled != 0 || f.Ledger.Released != 2 || booked != nil {
		t.Fatal(f, booked)
	}
}

func TestAClientThatGoesAwayPaysForWhatWasStreamed(t *testing.T) {
	wd := newWorld(t, nil)
	gone := make(chan struct{})
	wd.upstream = func(w http.ResponseWriter, r *http.Request, body string) {
		stream(delta("one two three four five six ", ""))(w, r, body)
		<-r.Context().Done()
		close(gone)
	}
	ctx, cancel := context.WithCancel(context.Background())
	answer, err := http.DefaultClient.Do(wd.request(ctx, chatPath, chat("x", `,"stream":true`), "X-Team", "blue"))
	must(t, err)
	_, err = bufio.NewReader(answer.Body).ReadString('\n')
	must(t, err)
	cancel()
	answer.Body.Close()
	<-gone
	f, booked := wd.ended()
	want(t, "settled", f.Settled, 1)
	if n := booked["output_tokens"].(float64); n < 5 || n > 10 {
		t.Fatal(booked)
	}
	want(t, "released", f.Ledger.Released, 0)
}

func TestAClientThatGoesAwayBeforeTheAnswerPaysForItsInput(t *testing.T) {
	wd := newWorld(t, nil)
	reached, gone := make(chan struct{}), make(chan struct{})
	wd.upstream = func(_ http.ResponseWriter, r *http.Request, _ string) {
		close(reached)
		<-r.Context().Done()
		close(gone)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := http.DefaultClient.Do(wd.request(ctx, chatPath, chat("x"), "X-Team", "blue")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-gone
	f, booked := wd.ended()
	want(t, "settled", f.Settled, 1)
	want(t, "output", booked["output_tokens"].(float64), 0)
	if booked["input_tokens"].(float64) < 3 {
		t.Fatal(booked)
	}
}

func TestAnswersThatCannotBeScannedAreWithheld(t *testing.T) {
	wd := newWorld(t, func(o *Options) { o.MaxAnswer = 1000 })
	wd.upstream = answerWith(strings.Repeat("x", 2000))
	answer, text := wd.post(chatPath, chat("x"))
	want(t, "too long", answer.StatusCode, 502)
	contains(t, text, "longer than can be scanned")
	wd.upstream = func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Encoding", "br")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "\x01\x02")
	}
	answer, text = wd.post(chatPath, chat("x"))
	want(t, "compressed", answer.StatusCode, 502)
	want(t, "encoding", answer.Header.Get("Content-Encoding"), "")
	contains(t, text, "compressed")
	wd.upstream = answerWith(`{"choices":[{"message":{"content":"social security number 536-22-1234"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`)
	answer, text = wd.post(chatPath, chat("x"))
	if answer.StatusCode < 400 || strings.Contains(text, "536-22-1234") {
		t.Fatal(answer.StatusCode, text)
	}
	f, _ := wd.ended()
	want(t, "settled", f.Settled, 3)
}

func TestOnlyKnownRoutesAreOpen(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = answerWith(`{"data":[]}`)
	answer, err := http.Get(wd.url + "/v1/models")
	must(t, err)
	answer.Body.Close()
	want(t, "models", answer.StatusCode, 200)
	calls := len(wd.bodies)
	for _, path := range []string{"/v1/files", "/v1/chat%2Fcompletions2", "/v1//chat/completions", "/v1/x/../chat/completions", "/"} {
		answer, _ := wd.post(path, chat("x"))
		if answer.StatusCode < 300 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	upgrade, err := http.NewRequest("GET", wd.url+"/v1/realtime", nil)
	must(t, err)
	upgrade.Header.Set("Upgrade", "websocket")
	upgrade.Header.Set("Connection", "Upgrade")
	answer, err = http.DefaultClient.Do(upgrade)
	must(t, err)
	answer.Body.Close()
	want(t, "upgrade", answer.StatusCode, 404)
	answer, _ = wd.post(chatPath, "\x1f\x8b", "Content-Encoding", "gzip")
	want(t, "compressed", answer.StatusCode, 415)
	want(t, "calls of the upstream", len(wd.bodies), calls)
}

func TestBodiesAndSubjectsAreBounded(t *testing.T) {
	wd := newWorld(t, func(o *Options) { o.MaxBody = 200 })
	wd.upstream = answerWith(answered)
	answer, _ := wd.post(chatPath, chat(strings.Repeat("x", 300)))
	want(t, "long body", answer.StatusCode, 413)
	answer, _ = wd.post(chatPath, chat("x"), "X-Team", strings.Repeat("x", 2000))
	want(t, "long team", answer.StatusCode, 400)
	wd = newWorld(t, func(o *Options) {
		o.Subject = func(*http.Request) (aicp.Request, error) { return aicp.Request{}, errors.New("who are you?") }
	})
	answer, text := wd.post(chatPath, chat("x"))
	want(t, "unknown", answer.StatusCode, 401)
	contains(t, text, "who are you?")
}

func TestTheFailModeDecidesWhenTheGateCannot(t *testing.T) {
	for open, status := range map[bool]int{false: 503, true: 200} {
		gate, err := aicp.OpenGate(aicp.GateOptions{}) // no bundle
		must(t, err)
		defer gate.Close()
		wd := newWorld(t, func(o *Options) { o.Gate, o.FailOpen = gate, open })
		wd.upstream = answerWith(answered)
		answer, _ := wd.post(chatPath, chat("x"))
		want(t, "status", answer.StatusCode, status)
		want(t, "mode", answer.Header.Get("X-Aicp-Fail-Mode"), map[bool]string{false: "closed", true: "open"}[open])
		wd.mu.Lock()
		want(t, "logged", len(wd.errors), 1)
		wd.mu.Unlock()
	}
}

func TestManyClientsShareOneBudgetExactly(t *testing.T) {
	wd := newWorld(t, nil)
	wd.upstream = answerWith(strings.Replace(answered, `"prompt_tokens":11,"completion_tokens":7`, `"prompt_tokens":8,"completion_tokens":100`, 1))
	body := strings.Replace(chat("hello"), "50", "100", 1) // 0.000208 of 0.001 USD: four fit
	var passed int64
	var wg sync.WaitGroup
	for n := 0; n < 24; n++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			answer, err := http.DefaultClient.Do(wd.request(context.Background(), chatPath, body, "X-Team", "shared"))
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == 200 {
				atomic.AddInt64(&passed, 1)
			} else if answer.StatusCode != 422 {
				t.Errorf("status %d", answer.StatusCode)
			}
		}()
	}
	wg.Wait()
	full := 0
	wd.mu.Lock()
	for _, body := range wd.bodies { // others passed with a smaller cap
		if strings.Contains(body, `"max_tokens":100`) {
			full++
		}
	}
	wd.mu.Unlock()
	if full > 4 || passed < 4 {
		t.Fatalf("%d passed, %d of them in full", passed, full)
	}
	wd.ended()
}

func TestAStreamReadsTheSameHoweverItIsCut(t *testing.T) {
	wd := newWorld(t, nil)
	whole := strings.Join([]string{
		delta("é <EMA", ""), delta("IL_ADDRESS_1>", ""), ": ping", delta(" ü", "stop"), usageChunk, "data: [DONE]", "",
	}, "\r\n\r\n")
	for size := 1; size < 60; size++ {
		d, err := wd.gate.Check(context.Background(), &aicp.Request{Body: []byte(chat("mail bob.smith@example.com"))})
		must(t, err)
		e := newEvents(d, true)
		var all []byte
		for rest := []byte(whole); len(rest) > 0; {
			n := size
			if n > len(rest) {
				n = len(rest)
			}
			out, ok, err := e.feed(rest[:n])
			must(t, err)
			want(t, "ok", ok, true)
			all, rest = append(all, out...), rest[n:]
		}
		out, ok, err := e.finish()
		must(t, err)
		want(t, "ok", ok, true)
		want(t, "left at the end", len(out), 0)
		want(t, "written", written(t, string(all)), "é bob.smith@example.com ü")
		want(t, "usage", e.used().CompletionTokens, int64(9))
		e.close()
		must(t, d.Close())
	}
}

func TestStreamsThatMakeNoSenseDoNoHarm(t *testing.T) {
	wd := newWorld(t, nil)
	for _, payload := range []string{
		"", "x", "[]", "null", "1", `{"choices":1}`, `{"choices":[1,null,{}]}`, `{"choices":[{"delta":1,"finish_reason":"x"}]}`,
		`{"choices":[{"delta":{"tool_calls":[1,{"function":2},{"function":{"arguments":"a"}}]},"index":"x"}]}`,
		`{"choices":[{"delta":{"function_call":{"arguments":"a"}}},{"finish_reason":"stop"}]}`,
		`{"type":"content_block_delta"}`, `{"type":"content_block_delta","delta":{"text":"a"},"index":{}}`,
		`{"type":"content_block_stop","index":[]}`, `{"type":".delta","delta":"a"}`, `{"type":".done"}`, `{"usage":[1]}`,
		`{"response":{"usage":{"input_tokens":-1}}}`, "{", `{"text":"bob.smith@example.com"}`, "\xff\xfe",
	} {
		d, err := wd.gate.Check(context.Background(), &aicp.Request{Body: []byte(chat("x"))})
		must(t, err)
		e := newEvents(d, false)
		_, _, _ = e.feed([]byte("data: " + payload + "\n\n: c\n\ndata:" + payload + "\r\r"))
		_, _, _ = e.finish()
		_ = e.used()
		e.close()
		must(t, d.Close())
	}
}
