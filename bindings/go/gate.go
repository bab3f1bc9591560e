package aicp

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// Bundle is a verified set of rules. It never changes.
type Bundle struct{ h *handle[capi.Bundle] }

// OpenBundle reads and verifies the bundle in a folder.
func OpenBundle(path string) (*Bundle, error) {
	if err := noNUL("path", path); err != nil {
		return nil, err
	}
	var out *capi.Bundle
	e := detail()
	if err := failed(capi.Aicp_bundle_open(path, &out, e), e); err != nil {
		return nil, err
	}
	return &Bundle{hold(out, "Bundle", capi.Aicp_bundle_free)}, nil
}

// SealBundle writes the manifest for the section files in a folder, after checking each.
func SealBundle(path, version string) error {
	if err := noNUL("path or version", path, version); err != nil {
		return err
	}
	e := detail()
	return failed(capi.Aicp_bundle_seal(path, version, e), e)
}

// Close frees the bundle.
func (b *Bundle) Close() error { b.h.close(); return nil }

// Version is the version of the manifest.
func (b *Bundle) Version() string {
	p, err := b.h.enter()
	if err != nil {
		return ""
	}
	defer b.h.leave()
	return capi.Text(capi.Aicp_bundle_version(p))
}

// Describe tells what the bundle holds, as a JSON object.
func (b *Bundle) Describe() ([]byte, error) {
	p, err := b.h.enter()
	if err != nil {
		return nil, err
	}
	defer b.h.leave()
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_bundle_describe(p, buf, e) })
}

// bytesOf runs a call that makes bytes.
func bytesOf(call func(buf *capi.Buf, e *capi.Error) int) ([]byte, error) {
	buf := new(capi.Buf)
	e := detail()
	err := failed(call(buf, e), e)
	return buf.Take(), err
}

// GateOptions says how a gate is opened. Zero means default.
type GateOptions struct {
	Bundle     string        // folder of the bundle; "": see BundleURL and Gate.Load
	BundleURL  string        // instead: base URL of the server of the rules
	ServiceKey string        // what the gate shows to its server
	Cache      string        // folder for the disk copy of the rules; needed with BundleURL
	Store      string        // "sqlite:///absolute/path" or "postgresql://…"; "": in memory, for this process
	Rates      string        // where shared limits are counted: "redis://…", or as Store; "": Store
	Node       string        // name of this host in the store
	Events     string        // file that events are appended to; "": see Gate.Events
	EventsURL  string        // base URL that events are sent to; "": BundleURL
	Background bool          // threads that follow the bundle, book settlements, renew and expire
	Watch      time.Duration // how often the bundle is looked at
	MaxWait    time.Duration // how long a call without a deadline may wait for the store; default 5 s
}

// Gate decides about requests. Many goroutines may use it; open one per process.
type Gate struct {
	h       *handle[capi.Gate]
	maxWait time.Duration
	idle    chan *capi.GateRequest // builders that no check is using
}

const defaultMaxWait = 5 * time.Second

// OpenGate opens a gate.
func OpenGate(o GateOptions) (*Gate, error) {
	texts := []string{
		o.Bundle, o.Store, o.Rates, o.Node, o.Events, o.BundleURL, o.ServiceKey, o.Cache, o.EventsURL,
	}
	if err := noNUL("option", texts...); err != nil {
		return nil, err
	}
	m := capi.Room(roomFor(texts))
	defer m.Free()
	var c capi.GateOptions
	capi.Aicp_gate_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.Background {
		c.Flags |= capi.AICP_GATE_BACKGROUND
	}
	c.Watch_ms = uint32(o.Watch / time.Millisecond)
	for i, to := range []**int8{
		&c.Bundle_path, &c.Store_url, &c.Rates_url, &c.Node, &c.Events_path, &c.Bundle_url, &c.Service_key,
		&c.Cache_path, &c.Events_url,
	} {
		if texts[i] != "" {
			*to = m.Put(texts[i])
		}
	}
	var out *capi.Gate
	e := detail()
	if err := failed(capi.Aicp_gate_open(&c, &out, e), e); err != nil {
		return nil, err
	}
	idle := make(chan *capi.GateRequest, 64)
	free := func(p *capi.Gate) {
		for {
			select {
			case request := <-idle:
				capi.Aicp_gate_request_free(request)
			default:
				capi.Aicp_gate_free(p)
				return
			}
		}
	}
	g := &Gate{h: hold(out, "Gate", free), maxWait: o.MaxWait, idle: idle}
	if g.maxWait <= 0 {
		g.maxWait = defaultMaxWait
	}
	return g, nil
}

// Close closes the gate and sends what the store does not know yet, as soon as no call and no Decision uses it.
func (g *Gate) Close() error { g.h.close(); return nil }

// Load puts a bundle in force.
func (g *Gate) Load(b *Bundle) error {
	p, err := g.h.enter()
	if err != nil {
		return err
	}
	defer g.h.leave()
	q, err := b.h.enter()
	if err != nil {
		return err
	}
	defer b.h.leave()
	e := detail()
	return failed(capi.Aicp_gate_load(p, q, e), e)
}

// Reload looks at the bundle's folder; true when a new version came into force. After an error the last good one
// stays.
func (g *Gate) Reload() (bool, error) {
	p, err := g.h.enter()
	if err != nil {
		return false, err
	}
	defer g.h.leave()
	var changed int32
	e := detail()
	err = failed(capi.Aicp_gate_reload(p, &changed, e), e)
	return changed != 0, err
}

// Flush does the background work once, waiting for the store.
func (g *Gate) Flush(ctx context.Context) error {
	return awaitErr(ctx, func() error {
		p, err := g.h.enter()
		if err != nil {
			return err
		}
		defer g.h.leave()
		e := detail()
		return failed(capi.Aicp_gate_flush(p, e), e)
	})
}

// BundleVersion is the version of the bundle in force; ErrState before the first.
func (g *Gate) BundleVersion() (string, error) {
	p, err := g.h.enter()
	if err != nil {
		return "", err
	}
	defer g.h.leave()
	text, err := bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_gate_bundle_version(p, buf, e) })
	return string(text), err
}

// Metrics is a snapshot as a JSON object.
func (g *Gate) Metrics() ([]byte, error) {
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	defer g.h.leave()
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_gate_metrics(p, buf, e) })
}

// Events takes the events that wait, as JSON Lines.
func (g *Gate) Events() ([]byte, error) {
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	defer g.h.leave()
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_gate_events(p, buf, e) })
}

// Action is what a caller wants to do.
type Action int

// Actions.
const (
	Chat     Action = capi.AICP_GATE_CHAT
	Complete Action = capi.AICP_GATE_COMPLETE
	Embed    Action = capi.AICP_GATE_EMBED
	Respond  Action = capi.AICP_GATE_RESPOND
	Image    Action = capi.AICP_GATE_IMAGE
	Audio    Action = capi.AICP_GATE_AUDIO
	Tool     Action = capi.AICP_GATE_TOOL
)

// String is the action's name in JSON and in Cedar: "chat".
func (a Action) String() string { return capi.Text(capi.Aicp_gate_action_name(int(a))) }

// Question is what a gate would ask its policies, from the JSON of a decision event or the like:
// {"model": "gpt-5", "team": "red"}. Entities and prices are those that the gate would have; both may be nil.
func Question(question []byte, entities *Entities, prices *PriceTable) (*PolicyRequest, error) {
	var store *capi.PolicyEntities
	var table *capi.PriceTable
	var err error
	if entities != nil {
		if store, err = entities.h.enter(); err != nil {
			return nil, err
		}
		defer entities.h.leave()
	}
	if prices != nil {
		if table, err = prices.h.enter(); err != nil {
			return nil, err
		}
		defer prices.h.leave()
	}
	r, err := NewPolicyRequest()
	if err != nil {
		return nil, err
	}
	err = r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_gate_question_parse(capi.View(question), store, table, p, e)
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Request is what a gate is asked: the JSON body of the call, and who asks. Empty means unknown.
type Request struct {
	Body   []byte
	Action Action

	Key      string // id of the API key: hex SHA-256, or any stable id
	KeyAlias string
	User     string
	Team     string
	Org      string
	EndUser  string
	Role     string
	IP       string
	Source   string
	CallID   string // joins with the caller's log; made by the gate when empty
	Tags     []string
}

func (r *Request) fill(b *capi.GateRequest) error {
	capi.Aicp_gate_request_reset(b)
	e := detail()
	if err := failed(capi.Aicp_gate_request_set_body(b, capi.View(r.Body), e), e); err != nil {
		return err
	}
	e = detail()
	if err := failed(capi.Aicp_gate_request_set_action(b, int(r.Action), e), e); err != nil {
		return err
	}
	fields := [...]string{
		capi.AICP_GATE_KEY: r.Key, capi.AICP_GATE_KEY_ALIAS: r.KeyAlias, capi.AICP_GATE_USER: r.User,
		capi.AICP_GATE_TEAM: r.Team, capi.AICP_GATE_ORG: r.Org, capi.AICP_GATE_END_USER: r.EndUser,
		capi.AICP_GATE_ROLE: r.Role, capi.AICP_GATE_IP: r.IP, capi.AICP_GATE_SOURCE: r.Source,
		capi.AICP_GATE_CALL_ID: r.CallID,
	}
	for field, text := range fields {
		if text != "" {
			e = detail()
			if err := failed(capi.Aicp_gate_request_set(b, field, text, e), e); err != nil {
				return err
			}
		}
	}
	for _, tag := range r.Tags {
		e = detail()
		if err := failed(capi.Aicp_gate_request_add_tag(b, tag, e), e); err != nil {
			return err
		}
	}
	return nil
}

// builder is a filled request of C, to be given back with done. The gate must be entered.
func (g *Gate) builder(p *capi.Gate, r *Request) (*capi.GateRequest, error) {
	var b *capi.GateRequest
	select {
	case b = <-g.idle:
	default:
		e := detail()
		if err := failed(capi.Aicp_gate_request_new(p, &b, e), e); err != nil {
			return nil, err
		}
	}
	if err := r.fill(b); err != nil {
		g.done(b)
		return nil, err
	}
	return b, nil
}

func (g *Gate) done(b *capi.GateRequest) {
	capi.Aicp_gate_request_reset(b)
	select {
	case g.idle <- b:
	default:
		capi.Aicp_gate_request_free(b)
	}
}

func (g *Gate) ask(p *capi.Gate, b *capi.GateRequest, wait time.Duration) (*Decision, error) {
	var out *capi.GateDecision
	e := detail()
	if err := failed(capi.Aicp_gate_check(p, b, uint64(wait), &out, e), e); err != nil {
		return nil, err
	}
	if _, err := g.h.enter(); err != nil { // closed meanwhile
		capi.Aicp_gate_decision_free(out)
		return nil, err
	}
	free := func(d *capi.GateDecision) {
		capi.Aicp_gate_decision_free(d)
		g.h.leave()
	}
	return &Decision{g: g, h: hold(out, "Decision", free)}, nil
}

// TryCheck decides without ever waiting. ErrWouldBlock says that the store must be asked first, and that nothing was
// taken.
func (g *Gate) TryCheck(r *Request) (*Decision, error) {
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	defer g.h.leave()
	b, err := g.builder(p, r)
	if err != nil {
		return nil, err
	}
	defer g.done(b)
	return g.ask(p, b, 0)
}

// Check decides. It waits for the store only when it must, and then until the context ends. A refusal is a Decision
// that does not allow, not an error; what an error means (fail closed, or open) is up to the caller.
func (g *Gate) Check(ctx context.Context, r *Request) (*Decision, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	b, err := g.builder(p, r)
	if err != nil {
		g.h.leave()
		return nil, err
	}
	d, err := g.ask(p, b, 0)
	if !errors.Is(err, ErrWouldBlock) {
		g.done(b)
		g.h.leave()
		return d, err
	}
	wait := patience(ctx, g.maxWait)
	return await(ctx, func() (*Decision, error) {
		defer g.h.leave()
		defer g.done(b)
		return g.ask(p, b, wait)
	}, func(d *Decision) { d.Close() })
}

// Decision is the answer of a gate, from the check to the settlement. Close gives back what was not settled.
type Decision struct {
	g *Gate
	h *handle[capi.GateDecision]
}

// Close releases what was reserved and not settled.
func (d *Decision) Close() error { d.h.close(); return nil }

// get reads something; a closed decision gives zeros, which allow nothing.
func get[T any](d *Decision, read func(p *capi.GateDecision) T) T {
	var none T
	p, err := d.h.lock()
	if err != nil {
		return none
	}
	defer d.h.unlock()
	return read(p)
}

func (d *Decision) text(read func(p *capi.GateDecision) *byte) string {
	return get(d, func(p *capi.GateDecision) string { return capi.Text(read(p)) })
}

// Allowed tells whether the request may run.
func (d *Decision) Allowed() bool {
	return get(d, capi.Aicp_gate_decision_verdict) == capi.AICP_GATE_ALLOW
}

// HTTPStatus is the status for the caller: 200, or 400, 403, 413, 422, 429, 503.
func (d *Decision) HTTPStatus() int { return get(d, capi.Aicp_gate_decision_http_status) }

// ID is Request.CallID, or a random id.
func (d *Decision) ID() string { return d.text(capi.Aicp_gate_decision_id) }

// Step is the step that refused: "policy", "limits", …; "" when allowed.
func (d *Decision) Step() string { return d.text(capi.Aicp_gate_decision_step) }

// Rule is the policy, rule, detector or account that decided.
func (d *Decision) Rule() string { return d.text(capi.Aicp_gate_decision_rule) }

// Type is the error type for clients, e.g. "policy_denied".
func (d *Decision) Type() string { return d.text(capi.Aicp_gate_decision_type) }

// Message is a sentence for people: why.
func (d *Decision) Message() string { return d.text(capi.Aicp_gate_decision_message) }

// Advice is a sentence for people: what would change it.
func (d *Decision) Advice() string { return d.text(capi.Aicp_gate_decision_advice) }

// Model is the model to send to.
func (d *Decision) Model() string { return d.text(capi.Aicp_gate_decision_model) }

// Header holds the headers for the answer to the caller.
func (d *Decision) Header() http.Header {
	return get(d, func(p *capi.GateDecision) http.Header {
		h := http.Header{}
		for i := int64(0); i < capi.Aicp_gate_decision_header_count(p); i++ {
			name := capi.Text(capi.Aicp_gate_decision_header_name(p, i))
			h.Add(name, capi.Text(capi.Aicp_gate_decision_header_value(p, i)))
		}
		return h
	})
}

// BodyChanged tells whether Body differs from the body that was asked about.
func (d *Decision) BodyChanged() bool { return get(d, capi.Aicp_gate_decision_body_changed) != 0 }

// Body is the body to send on, with masked texts, model and max_tokens.
func (d *Decision) Body() []byte {
	return get(d, func(p *capi.GateDecision) []byte {
		var n uint64
		return capi.Bytes(capi.Aicp_gate_decision_body(p, &n), n)
	})
}

// MaxTokens is the cap of output tokens that the gate put in; -1: unchanged.
func (d *Decision) MaxTokens() int64 { return get(d, capi.Aicp_gate_decision_max_tokens) }

// InputTokens are the input tokens as counted.
func (d *Decision) InputTokens() int64 { return get(d, capi.Aicp_gate_decision_input_tokens) }

// CostExpected is the expected cost; -1: the price is not known.
func (d *Decision) CostExpected() int64 { return get(d, capi.Aicp_gate_decision_cost_expected_nano) }

// Reserved is the amount reserved on each account.
func (d *Decision) Reserved() int64 { return get(d, capi.Aicp_gate_decision_reserved_nano) }

// Findings counts what the guardrail found in the request.
func (d *Decision) Findings() int { return int(get(d, capi.Aicp_gate_decision_finding_count)) }

// Risk is the combined risk of the request, 0 to 1.
func (d *Decision) Risk() float64 { return get(d, capi.Aicp_gate_decision_risk) }

// Elapsed is the time spent in a step of Steps; "" for all.
func (d *Decision) Elapsed(step string) time.Duration {
	return get(d, func(p *capi.GateDecision) time.Duration {
		n := capi.AICP_GATE_STEP_COUNT
		for i := 0; step != "" && i < capi.AICP_GATE_STEP_COUNT; i++ {
			if capi.Text(capi.Aicp_gate_step_name(i)) == step {
				n = i
			}
		}
		if step != "" && n == capi.AICP_GATE_STEP_COUNT {
			return 0
		}
		return duration(capi.Aicp_gate_decision_step_ns(p, n))
	})
}

// Steps are the names of the steps of a check, in their order.
func Steps() []string {
	names := make([]string, capi.AICP_GATE_STEP_COUNT)
	for i := range names {
		names[i] = capi.Text(capi.Aicp_gate_step_name(i))
	}
	return names
}

// Fields are the names that what is known of a caller has in JSON: "key", "team", …
func Fields() []string {
	names := make([]string, capi.AICP_GATE_FIELD_COUNT)
	for i := range names {
		names[i] = capi.Text(capi.Aicp_gate_field_name(i))
	}
	return names
}

// JSON is the whole decision as a JSON object.
func (d *Decision) JSON() ([]byte, error) {
	p, err := d.h.lock()
	if err != nil {
		return nil, err
	}
	defer d.h.unlock()
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_gate_decision_json(p, buf, e) })
}

// Candidate tells whether this allowed request may go to another model (a fallback): by the policies, and by what
// the budget can bear. It waits for the store only when it must.
func (d *Decision) Candidate(ctx context.Context, model string) (bool, error) {
	ask := func(wait time.Duration) (bool, error) {
		p, err := d.h.lock()
		if err != nil {
			return false, err
		}
		defer d.h.unlock()
		var allowed int32
		e := detail()
		err = failed(capi.Aicp_gate_candidate(d.g.h.p, p, model, uint64(wait), &allowed, e), e)
		return allowed != 0, err
	}
	if err := ctx.Err(); err != nil {
		return false, ended(err)
	}
	allowed, err := ask(0)
	if !errors.Is(err, ErrWouldBlock) {
		return allowed, err
	}
	wait := patience(ctx, d.g.maxWait)
	return await(ctx, func() (bool, error) { return ask(wait) }, nil)
}

// output is what to do with a text of the answer: itself, or what the gate made of it.
func (d *Decision) output(
	data []byte,
	call func(*capi.Gate, *capi.GateDecision, string, *capi.Buf, *int32, *capi.Error) int,
) ([]byte, bool, error) {
	p, err := d.h.lock()
	if err != nil {
		return nil, false, err
	}
	defer d.h.unlock()
	var verdict int32
	buf := new(capi.Buf)
	e := detail()
	err = failed(call(d.g.h.p, p, capi.View(data), buf, &verdict, e), e)
	out := buf.Take()
	if err != nil || verdict != capi.AICP_GATE_ALLOW {
		return nil, false, err
	}
	if out == nil {
		out = data
	}
	return out, true, nil
}

// Output scans the JSON body of the model's answer and puts back what was anonymised in the request. It gives the
// answer to pass on, data itself where nothing changed. False: the answer must not be given out, and the decision
// tells why.
func (d *Decision) Output(data []byte) ([]byte, bool, error) {
	return d.output(data, capi.Aicp_gate_output)
}

// OutputText is Output for one plain text of the answer.
func (d *Decision) OutputText(data []byte) ([]byte, bool, error) {
	return d.output(data, capi.Aicp_gate_output_text)
}

// Stream scans and restores one text of a streamed answer.
type Stream struct {
	h *handle[capi.GateStream]
	d *Decision
}

// Stream opens a scanner for one text of a streamed answer (one per choice).
func (d *Decision) Stream() (*Stream, error) {
	p, err := d.h.lock()
	if err != nil {
		return nil, err
	}
	defer d.h.unlock()
	var out *capi.GateStream
	e := detail()
	if err := failed(capi.Aicp_gate_stream_open(d.g.h.p, p, &out, e), e); err != nil {
		return nil, err
	}
	if _, err := d.h.enter(); err != nil { // the decision stays until the stream is freed
		capi.Aicp_gate_stream_free(out)
		return nil, err
	}
	free := func(s *capi.GateStream) {
		d.h.mu.Lock()
		capi.Aicp_gate_stream_free(s)
		d.h.mu.Unlock()
		d.h.leave()
	}
	return &Stream{hold(out, "Stream", free), d}, nil
}

// Close frees the stream.
func (s *Stream) Close() error { s.h.close(); return nil }

// Feed adds a piece, cut anywhere, and gives what may be passed on by now. last ends the text and gives the rest.
// False: nothing more comes out, and the decision tells why.
func (s *Stream) Feed(piece []byte, last bool) ([]byte, bool, error) {
	p, err := s.h.lock()
	if err != nil {
		return nil, false, err
	}
	defer s.h.unlock()
	s.d.h.mu.Lock()
	defer s.d.h.mu.Unlock()
	var verdict int32
	buf := new(capi.Buf)
	e := detail()
	err = failed(capi.Aicp_gate_stream_feed(p, capi.View(piece), boolean(last), buf, &verdict, e), e)
	out := buf.Take()
	return out, err == nil && verdict == capi.AICP_GATE_ALLOW, err
}

// ServedBy names the model that really answered, when it is not that of the decision; before Settle.
func (d *Decision) ServedBy(model string) error {
	p, err := d.h.lock()
	if err != nil {
		return err
	}
	defer d.h.unlock()
	e := detail()
	return failed(capi.Aicp_gate_decision_served_by(p, model, e), e)
}

// Renew keeps slot and reservation of a long stream alive.
func (d *Decision) Renew() error {
	p, err := d.h.lock()
	if err != nil {
		return err
	}
	defer d.h.unlock()
	e := detail()
	return failed(capi.Aicp_gate_renew(d.g.h.p, p, e), e)
}

// Settle books the price of what was really used and gives the rest back. It never waits, and tells what was booked.
func (d *Decision) Settle(usage Usage) (int64, error) { return d.settle(usage, -1) }

// SettleCost is Settle with the true cost in nano-dollars.
func (d *Decision) SettleCost(usage Usage, nano int64) (int64, error) {
	if nano < 0 {
		return 0, &Error{Code: ErrRange, Message: "a cost cannot be negative"}
	}
	return d.settle(usage, nano)
}

func (d *Decision) settle(usage Usage, nano int64) (int64, error) {
	p, err := d.h.lock()
	if err != nil {
		return 0, err
	}
	defer d.h.unlock()
	var booked int64
	e := detail()
	err = failed(capi.Aicp_gate_settle(d.g.h.p, p, usage.asC(), nano, &booked, e), e)
	return booked, err
}

// Release gives everything back: the model was never reached. No effect after Settle.
func (d *Decision) Release() error {
	p, err := d.h.lock()
	if err != nil {
		return err
	}
	defer d.h.unlock()
	e := detail()
	return failed(capi.Aicp_gate_release(d.g.h.p, p, e), e)
}

// RateStore is the store of shared rate limits, for a server that grants slices to gates which reach the store only
// through it. Many goroutines may use it.
type RateStore struct{ h *handle[capi.RateStore] }

// OpenRateStore opens the shared limits at "sqlite:///absolute/path" or "postgresql://…".
func OpenRateStore(url string) (*RateStore, error) {
	var out *capi.RateStore
	e := detail()
	if err := failed(capi.Aicp_rate_store_open(url, &out, e), e); err != nil {
		return nil, err
	}
	return &RateStore{hold(out, "RateStore", capi.Aicp_rate_store_free)}, nil
}

// Close closes the store.
func (s *RateStore) Close() error { s.h.close(); return nil }

// Serve answers the part "rates" of a message of leases, the whole body as the gate sent it, with the JSON array for
// the same part of the answer. It waits for the store at most 5 s.
func (s *RateStore) Serve(ctx context.Context, message []byte) ([]byte, error) {
	text := string(message) // the caller may change its own when the context ends the waiting
	return await(ctx, func() ([]byte, error) {
		p, err := s.h.enter()
		if err != nil {
			return nil, err
		}
		defer s.h.leave()
		return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_rate_store_serve(p, text, buf, e) })
	}, nil)
}
