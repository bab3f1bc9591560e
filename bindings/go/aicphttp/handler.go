// Package aicphttp puts a gate before an HTTP handler that serves OpenAI's or Anthropic's API, such as a reverse proxy:
//
//	upstream := httputil.NewSingleHostReverseProxy(url)
//	http.ListenAndServe(":8080", aicphttp.New(upstream, aicphttp.Options{Gate: gate}))
//
// Each call of a model is checked. A refusal is answered with the decision's status, headers and reason. Otherwise the
// handler gets the body that the gate made of it: masked, with another model or a smaller max_tokens. The answer is
// scanned, whole or streamed, and what was anonymised is put back. At the end the call is settled with the usage that
// the model reported; it is released when the upstream failed, and settled with what was streamed until then when the
// client went away.
//
// Nothing passes by accident: calls of routes that the package does not know, uploads and upgrades are refused, unless
// Options.Pass lets them through ungoverned.
package aicphttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	aicp "aicp.dev/go"
)

// Options says how calls are governed. Gate is needed.
type Options struct {
	Gate *aicp.Gate

	// Subject tells who asks; the body and the action are filled in later. Default: Key and IP, see KeyOf, and
	// what Headers names.
	Subject func(r *http.Request) (aicp.Request, error)

	// Headers from which the default Subject takes what it cannot know itself. They are believed, so whoever
	// stands before this handler must set or remove them; they are not sent on.
	Headers SubjectHeaders

	// Pass tells which calls run without the gate. Default: GET, HEAD and OPTIONS that ask for no upgrade.
	Pass func(r *http.Request) bool

	// FailOpen lets calls pass unchecked while the gate cannot decide, with the header X-Aicp-Fail-Mode: open.
	// Otherwise they get status 503.
	FailOpen bool

	Wait      time.Duration // how long a check may wait for the store; default 2 s
	Renew     time.Duration // how often the reservation of a running call is renewed; default 1 min
	MaxBody   int64         // longest body of a request; default 16 MiB
	MaxAnswer int64         // longest whole answer; default 64 MiB
	Log       func(err error)
}

// SubjectHeaders are names of headers; empty ones are not read. Tags is a list with commas.
type SubjectHeaders struct {
	KeyAlias, User, Team, Org, EndUser, Role, IP, CallID, Tags string
}

type handler struct {
	next http.Handler
	o    Options
}

// New puts the gate before next.
func New(next http.Handler, o Options) http.Handler {
	if o.Gate == nil {
		panic("aicphttp: Options.Gate is missing")
	}
	if o.Subject == nil {
		o.Subject = o.Headers.subject
	}
	if o.Pass == nil {
		o.Pass = readsOnly
	}
	if o.Wait <= 0 {
		o.Wait = 2 * time.Second
	}
	if o.Renew <= 0 {
		o.Renew = time.Minute
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 16 << 20
	}
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = 64 << 20
	}
	if o.Log == nil {
		o.Log = func(error) {}
	}
	return &handler{next, o}
}

func readsOnly(r *http.Request) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return reads && r.Header.Get("Upgrade") == ""
}

// routes are the ends of the paths of calls of models.
var routes = []struct {
	end    string
	action aicp.Action
}{
	{"/chat/completions", aicp.Chat},
	{"/completions", aicp.Complete},
	{"/embeddings", aicp.Embed},
	{"/responses", aicp.Respond},
	{"/messages", aicp.Chat},
	{"/images/generations", aicp.Image},
	{"/audio/speech", aicp.Audio},
}

func actionOf(r *http.Request) (aicp.Action, bool) {
	if r.Method != http.MethodPost || path.Clean(r.URL.Path) != r.URL.Path {
		return 0, false
	}
	for _, route := range routes {
		if strings.HasSuffix(r.URL.Path, route.end) {
			return route.action, true
		}
	}
	return 0, false
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, governed := actionOf(r)
	if !governed {
		if h.o.Pass(r) {
			h.next.ServeHTTP(w, r)
			return
		}
		fail(w, http.StatusNotFound, "not_governed", "this route is not open here")
		return
	}
	ask, status, err := h.read(w, r)
	if err != nil {
		fail(w, status, "invalid_request_error", err.Error())
		return
	}
	ask.Action = action
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Wait)
	decision, err := h.o.Gate.Check(ctx, &ask)
	cancel()
	if err != nil {
		h.undecided(w, r, &ask, err)
		return
	}
	defer decision.Close()
	if !decision.Allowed() {
		refuse(w, decision)
		return
	}
	h.governed(w, r, decision, action)
}

// read takes the body and the subject out of a request.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (aicp.Request, int, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return aicp.Request{}, http.StatusUnsupportedMediaType, errors.New("a compressed body cannot be checked")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.o.MaxBody))
	if err != nil {
		if int64(len(body)) >= h.o.MaxBody {
			return aicp.Request{}, http.StatusRequestEntityTooLarge, errors.New("the body is too long")
		}
		return aicp.Request{}, http.StatusBadRequest, errors.New("the body could not be read")
	}
	ask, err := h.o.Subject(r)
	if err != nil {
		return aicp.Request{}, http.StatusUnauthorized, err
	}
	ask.Body = body
	return ask, 0, nil
}

// undecided answers a call that the gate could not decide about.
func (h *handler) undecided(w http.ResponseWriter, r *http.Request, ask *aicp.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to answer
	}
	if errors.Is(err, aicp.ErrInvalid) || errors.Is(err, aicp.ErrLimit) {
		fail(w, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	h.o.Log(err)
	if !h.o.FailOpen {
		w.Header().Set("X-Aicp-Fail-Mode", "closed")
		fail(w, http.StatusServiceUnavailable, "gate_unavailable", "the gate cannot decide at the moment")
		return
	}
	w.Header().Set("X-Aicp-Fail-Mode", "open")
	h.next.ServeHTTP(w, h.onward(r, r.Context(), ask.Body))
}

// onward is the request for the handler behind.
func (h *handler) onward(r *http.Request, ctx context.Context, body []byte) *http.Request {
	sent := r.Clone(ctx)
	sent.Body = io.NopCloser(bytes.NewReader(body))
	sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	sent.ContentLength = int64(len(body))
	sent.TransferEncoding = nil
	sent.Header.Set("Content-Length", strconv.Itoa(len(body)))
	sent.Header.Del("Accept-Encoding") // a compressed answer cannot be scanned
	h.o.Headers.remove(sent.Header)
	return sent
}

// governed runs an allowed call and ends its decision, however the call ends.
func (h *handler) governed(w http.ResponseWriter, r *http.Request, d *aicp.Decision, action aicp.Action) {
	body, wantsUsage := askForUsage(d.Body(), action)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	a := &answer{w: w, d: d, o: &h.o, stop: cancel}
	a.events = newEvents(d, wantsUsage)
	defer a.events.close()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		tick := time.NewTicker(h.o.Renew)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if err := d.Renew(); err != nil && !errors.Is(err, aicp.ErrState) {
					h.o.Log(err)
				}
			}
		}
	}()
	defer func() {
		reason := recover()
		if reason != nil && !(a.stopped && reason == any(http.ErrAbortHandler)) {
			a.broken(r.Context().Err() != nil)
			panic(reason)
		}
		a.end(r.Context().Err() != nil)
	}()
	h.next.ServeHTTP(a, h.onward(r, ctx, body))
}

// askForUsage adds stream_options.include_usage to a streamed call that did not ask for it. True: the client did.
func askForUsage(body []byte, action aicp.Action) ([]byte, bool) {
	var fields map[string]json.RawMessage
	if (action != aicp.Chat && action != aicp.Complete) || json.Unmarshal(body, &fields) != nil {
		return body, true
	}
	var stream bool
	if json.Unmarshal(fields["stream"], &stream) != nil || !stream || fields["system"] != nil {
		return body, true
	}
	options := map[string]json.RawMessage{}
	if fields["stream_options"] != nil && json.Unmarshal(fields["stream_options"], &options) != nil {
		return body, true
	}
	if options == nil {
		options = map[string]json.RawMessage{}
	}
	if string(options["include_usage"]) == "true" {
		return body, true
	}
	options["include_usage"] = json.RawMessage("true")
	fields["stream_options"], _ = json.Marshal(options)
	asked, err := json.Marshal(fields)
	if err != nil {
		return body, true
	}
	return asked, false
}

// refuse answers with what the decision says.
func refuse(w http.ResponseWriter, d *aicp.Decision) {
	status := d.HTTPStatus()
	if status < 400 { // an answer that was refused when it had been asked for already
		status = http.StatusBadRequest
	}
	addHeaders(w.Header(), d)
	write(w, status, refusal(d))
}

func addHeaders(h http.Header, d *aicp.Decision) {
	for name, values := range d.Header() {
		h[name] = values
	}
	h.Set("X-Aicp-Decision-Id", d.ID())
}

type problem struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
	Step    string  `json:"step,omitempty"`
	Rule    string  `json:"rule,omitempty"`
	Advice  string  `json:"advice,omitempty"`
}

func refusal(d *aicp.Decision) problem {
	return problem{
		Message: d.Message(), Type: d.Type(), Code: d.Type(), Step: d.Step(), Rule: d.Rule(), Advice: d.Advice(),
	}
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	write(w, status, problem{Message: message, Type: kind, Code: kind})
}

func write(w http.ResponseWriter, status int, p problem) {
	body, _ := json.Marshal(map[string]problem{"error": p})
	for _, name := range []string{"Content-Encoding", "Etag", "Transfer-Encoding"} {
		w.Header().Del(name)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// remoteIP is the address of the peer.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
