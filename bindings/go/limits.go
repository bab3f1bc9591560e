package aicp

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// LimitKind is what a rule counts.
type LimitKind int

// Kinds of rules.
const (
	LimitRequests    LimitKind = capi.AICP_LIMIT_REQUESTS
	LimitTokens      LimitKind = capi.AICP_LIMIT_TOKENS
	LimitConcurrency LimitKind = capi.AICP_LIMIT_CONCURRENCY
)

func (k LimitKind) String() string {
	switch k {
	case LimitRequests:
		return "requests"
	case LimitTokens:
		return "tokens"
	case LimitConcurrency:
		return "concurrency"
	}
	return "unknown"
}

// LimitAlgorithm is how a rule counts.
type LimitAlgorithm int

// Algorithms.
const (
	LimitGCRA        LimitAlgorithm = capi.AICP_LIMIT_GCRA
	LimitFixedWindow LimitAlgorithm = capi.AICP_LIMIT_FIXED_WINDOW
	LimitSlots       LimitAlgorithm = capi.AICP_LIMIT_SLOTS
)

// LimitRule is one rule. Limit -1 is unlimited.
type LimitRule struct {
	ID        string
	Kind      LimitKind
	Algorithm LimitAlgorithm
	Limit     int64
	Burst     uint64
	Window    time.Duration
	Shared    bool
	Exact     bool
	Name      string // for people; the ID where there is none
}

// LimitRules is a list of rules. It never changes.
type LimitRules struct{ h *handle[capi.LimitRules] }

// ParseLimitRules reads a JSON array of rules; at most maxRules, 0 for the default.
func ParseLimitRules(text []byte, maxRules uint64) (*LimitRules, error) {
	var c capi.LimitRulesOptions
	capi.Aicp_limit_rules_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Max_rules = maxRules
	var out *capi.LimitRules
	e := detail()
	if err := failed(capi.Aicp_limit_rules_parse(capi.View(text), &c, &out, e), e); err != nil {
		return nil, err
	}
	return &LimitRules{hold(out, "LimitRules", capi.Aicp_limit_rules_free)}, nil
}

// Close frees the rules.
func (r *LimitRules) Close() error { r.h.close(); return nil }

// Len is the number of rules.
func (r *LimitRules) Len() int {
	p, err := r.h.enter()
	if err != nil {
		return 0
	}
	defer r.h.leave()
	return int(capi.Aicp_limit_rules_count(p))
}

// At is the rule with that index.
func (r *LimitRules) At(index int) (LimitRule, error) {
	p, err := r.h.enter()
	if err != nil {
		return LimitRule{}, err
	}
	defer r.h.leave()
	var c capi.LimitRuleInfo
	c.Size = uint64(unsafe.Sizeof(c))
	e := detail()
	if err := failed(capi.Aicp_limit_rules_get(p, int64(index), &c, e), e); err != nil {
		return LimitRule{}, err
	}
	return LimitRule{
		ID:        capi.Text(capi.Aicp_limit_rules_id(p, int64(index))),
		Kind:      LimitKind(c.Kind),
		Algorithm: LimitAlgorithm(c.Algorithm),
		Limit:     c.Limit,
		Burst:     c.Burst,
		Window:    duration(c.Window_ns),
		Shared:    c.Shared != 0,
		Exact:     c.Exact != 0,
		Name:      capi.Text(capi.Aicp_limit_rules_name(p, int64(index))),
	}, nil
}

// Never is a duration that does not end.
const Never = time.Duration(math.MaxInt64)

func duration(ns uint64) time.Duration {
	if ns > math.MaxInt64 {
		return Never
	}
	return time.Duration(ns)
}

func nanoseconds(d time.Duration) uint64 {
	if d < 0 {
		return 0
	}
	return uint64(d)
}

// LimiterOptions says how a limiter is made. Zero means default.
type LimiterOptions struct {
	SlotTTL time.Duration // life of a slot and a ticket
	Shards  uint32        // a power of two
	MaxKeys uint32

	Redis               string // "redis://…": where shared rules are counted; "": in this process only
	RedisPrefix         string // of all keys in Redis
	RedisConnectTimeout time.Duration
	RedisConnections    uint32
}

// Limiter holds the state of all keys of a process. Many goroutines may use it.
type Limiter struct{ h *handle[capi.Limiter] }

// NewLimiter makes a limiter.
func NewLimiter(o LimiterOptions) (*Limiter, error) {
	leases, err := openLeases(&o)
	if err != nil {
		return nil, err
	}
	m := capi.Room(int(unsafe.Sizeof(capi.LeaseSource{})))
	defer m.Free() // the limiter copies it
	var c capi.LimiterOptions
	capi.Aicp_limiter_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Slot_ttl_ns, c.Shards, c.Max_keys = nanoseconds(o.SlotTTL), o.Shards, o.MaxKeys
	if leases != nil {
		source := (*capi.LeaseSource)(m.Raw(int(unsafe.Sizeof(capi.LeaseSource{}))))
		capi.Aicp_redis_leases_source(leases, source)
		c.Source = source
	}
	var out *capi.Limiter
	e := detail()
	if err := failed(capi.Aicp_limiter_new(&c, &out, e), e); err != nil {
		capi.Aicp_redis_leases_free(leases)
		return nil, err
	}
	return &Limiter{hold(out, "Limiter", func(p *capi.Limiter) {
		capi.Aicp_limiter_free(p)
		capi.Aicp_redis_leases_free(leases)
	})}, nil
}

func openLeases(o *LimiterOptions) (*capi.RedisLeases, error) {
	if o.Redis == "" {
		return nil, nil
	}
	if err := noNUL("prefix", o.RedisPrefix); err != nil {
		return nil, err
	}
	m := capi.Room(len(o.RedisPrefix) + 16)
	defer m.Free()
	var c capi.RedisLeasesOptions
	capi.Aicp_redis_leases_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Connect_timeout_ns, c.Connections = nanoseconds(o.RedisConnectTimeout), o.RedisConnections
	if o.RedisPrefix != "" {
		c.Prefix = m.Put(o.RedisPrefix)
	}
	var out *capi.RedisLeases
	e := detail()
	err := failed(capi.Aicp_redis_leases_open(o.Redis, &c, &out, e), e)
	return out, err
}

// Close frees the limiter.
func (l *Limiter) Close() error { l.h.close(); return nil }

// LimitRequest is who asks for how much. Empty texts are absent dimensions.
type LimitRequest struct {
	Org, Team, User, Key, Model, ModelGroup, Agent, EndUser string

	Tags      []string
	Tokens    uint64        // tokens to reserve: input and output cap
	Estimated bool          // the number of tokens is a guess
	SlotTTL   time.Duration // life of the slots; 0: the limiter's
	Wait      time.Duration // how long the shared store may be waited for
	Now       uint64        // monotonic nanoseconds; 0: read the clock
	Held      []*Taken      // open takes of the same request: what they charged is not charged again
}

var memories = sync.Pool{New: func() any { return newMemory(4096) }}

// pooled is memory of C that is used again; what the pool drops is freed by the collector.
type pooled struct {
	*handle[capi.Memory]
}

func newMemory(size int) *pooled {
	return &pooled{hold(capi.Room(size), "memory", (*capi.Memory).Free)}
}

// borrow takes memory with room for size bytes out of the pool; give puts it back.
func borrow(size int) (*pooled, *capi.Memory) {
	m := memories.Get().(*pooled)
	if m.p.Size() < size {
		m.close()
		m = newMemory(2 * size)
	}
	m.p.Reset()
	return m, m.p
}

func (m *pooled) give() {
	const most = 64 << 10
	if m.p.Size() > most {
		m.close()
		return
	}
	memories.Put(m)
}

// asC writes the request into memory of C, which the caller gives back after the call.
func (r *LimitRequest) asC() (*capi.LimitRequest, *pooled) {
	fixed := [...]string{r.Org, r.Team, r.User, r.Key, r.Model, r.ModelGroup, r.Agent, r.EndUser}
	values := len(fixed) + len(r.Tags)
	size := values * (int(unsafe.Sizeof(capi.LimitValue{})) + 16)
	for _, text := range fixed {
		size += len(text)
	}
	for _, text := range r.Tags {
		size += len(text)
	}
	const ticket = int(unsafe.Sizeof(capi.LimitTicket{}))
	size += len(r.Held) * ticket
	own, m := borrow(size + int(unsafe.Sizeof(capi.LimitRequest{})) + 64)
	c := (*capi.LimitRequest)(m.Raw(int(unsafe.Sizeof(capi.LimitRequest{}))))
	*c = capi.LimitRequest{Size: uint64(unsafe.Sizeof(*c))}
	list := unsafe.Slice((*capi.LimitValue)(m.Raw(values*int(unsafe.Sizeof(capi.LimitValue{})))), values)
	n := 0
	add := func(dimension int32, text string) {
		if text != "" {
			list[n] = capi.LimitValue{Dimension: dimension, Data: m.Put(text), Len: uint64(len(text))}
			n++
		}
	}
	for i, text := range fixed {
		add(int32(capi.AICP_LIMIT_ORG+i), text)
	}
	for _, tag := range r.Tags {
		add(capi.AICP_LIMIT_TAG, tag)
	}
	c.Values, c.Value_count = &list[0], uint64(n)
	c.Tokens, c.Now_ns, c.Slot_ttl_ns = r.Tokens, r.Now, nanoseconds(r.SlotTTL)
	c.Deadline_ns = deadline(r.Wait)
	if n := len(r.Held); n > 0 {
		c.Held, c.Held_count = (*capi.LimitTicket)(m.Raw(n*ticket)), uint64(n)
		tickets := unsafe.Slice(c.Held, n)
		for i, held := range r.Held {
			held.copyTo(&tickets[i])
		}
	}
	if r.Estimated {
		c.Flags |= capi.AICP_LIMIT_ESTIMATED
	}
	return c, own
}

// Taken is the decision with the numbers of the tightest rule. Rule is "" when no rule applies; RetryAfter is Never
// when waiting does not help. One of Settle, Cancel and Refund ends it; dropped, its charges stay and its slots end at
// their deadline.
type Taken struct {
	Allowed    bool
	TooLarge   bool // more than the rule can ever admit
	Rule       string
	Kind       LimitKind
	Degraded   bool // the store could not be asked
	Estimated  bool
	Overflow   bool
	Limit      uint64
	Remaining  uint64
	Reset      time.Duration
	RetryAfter time.Duration

	limiter *handle[capi.Limiter]
	rules   *handle[capi.LimitRules]
	result  *capi.LimitResult
	mu      sync.Mutex
	ticket  *capi.LimitTicket
}

// Take charges every rule that applies, or none. A refusal is an answer, not an error.
func (l *Limiter) Take(rules *LimitRules, r *LimitRequest) (*Taken, error) {
	p, err := l.h.enter()
	if err != nil {
		return nil, err
	}
	defer l.h.leave()
	q, err := rules.h.enter()
	if err != nil {
		return nil, err
	}
	defer rules.h.leave()
	c, own := r.asC()
	defer own.give()
	result := &capi.LimitResult{Size: uint64(unsafe.Sizeof(capi.LimitResult{})), Rule: -1}
	t := &Taken{limiter: l.h, rules: rules.h, result: result, ticket: new(capi.LimitTicket)}
	e := detail()
	status := capi.Aicp_limiter_take(p, q, c, t.ticket, result, e)
	err = failed(status, e)
	if err != nil && status != capi.AICP_ERR_RATE_LIMITED && status != capi.AICP_ERR_TOO_LARGE {
		return nil, err
	}
	t.read(q, result)
	t.TooLarge = status == capi.AICP_ERR_TOO_LARGE
	return t, nil
}

func (t *Taken) read(rules *capi.LimitRules, r *capi.LimitResult) {
	t.Allowed = r.Allowed != 0
	t.Kind = LimitKind(r.Kind)
	t.Degraded, t.Estimated, t.Overflow = r.Degraded != 0, r.Estimated != 0, r.Overflow != 0
	t.Limit, t.Remaining = r.Limit, r.Remaining
	t.Reset, t.RetryAfter = duration(r.Reset_ns), duration(r.Retry_after_ns)
	if r.Rule >= 0 {
		t.Rule = capi.Text(capi.Aicp_limit_rules_id(rules, int64(r.Rule)))
	}
}

// Header holds the headers for the answer: Retry-After, RateLimit, RateLimit-Policy. The rules must still be open.
func (t *Taken) Header() http.Header {
	h := http.Header{}
	if t.result.Rule < 0 {
		return h
	}
	rules, err := t.rules.enter()
	if err != nil {
		return h
	}
	defer t.rules.leave()
	c := new(capi.LimitHeaders)
	capi.Aicp_limit_headers_format(rules, t.result, c)
	for name, chars := range map[string][]int8{
		"Retry-After": c.Retry_after[:], "Ratelimit-Policy": c.Ratelimit_policy[:], "Ratelimit": c.Ratelimit[:],
	} {
		if value := capi.Field(chars); value != "" {
			h.Set(name, value)
		}
	}
	return h
}

func (t *Taken) copyTo(ticket *capi.LimitTicket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*ticket = *t.ticket
}

func (t *Taken) end(call func(p *capi.Limiter, ticket *capi.LimitTicket)) error {
	p, err := t.limiter.enter()
	if err != nil {
		return err
	}
	defer t.limiter.leave()
	t.mu.Lock()
	defer t.mu.Unlock()
	call(p, t.ticket)
	return nil
}

// Settle ends the take with the tokens really used.
func (t *Taken) Settle(tokens uint64) error {
	return t.end(func(p *capi.Limiter, ticket *capi.LimitTicket) { capi.Aicp_limiter_settle(p, ticket, tokens, 0) })
}

// Cancel ends the take and gives everything back.
func (t *Taken) Cancel() error {
	return t.end(func(p *capi.Limiter, ticket *capi.LimitTicket) { capi.Aicp_limiter_cancel(p, ticket, 0) })
}

// Refund ends the take and gives back tokens and slots, not the charge for the request.
func (t *Taken) Refund() error {
	return t.end(func(p *capi.Limiter, ticket *capi.LimitTicket) { capi.Aicp_limiter_refund(p, ticket, 0) })
}

// Renew prolongs the slots of a running request; ttl 0: the limiter's.
func (t *Taken) Renew(ttl time.Duration) error {
	e := detail()
	var status int
	err := t.end(func(p *capi.Limiter, ticket *capi.LimitTicket) {
		status = capi.Aicp_limiter_renew(p, ticket, nanoseconds(ttl), 0, e)
	})
	if told := failed(status, e); err == nil {
		err = told
	}
	return err
}

// LimitState is what is left of one rule for one subject.
type LimitState struct {
	Rule      string
	Kind      LimitKind
	Limit     uint64
	Remaining uint64
	Reset     time.Duration
}

// Peek tells what is left of each rule that a take would charge.
func (l *Limiter) Peek(rules *LimitRules, r *LimitRequest) ([]LimitState, error) {
	p, err := l.h.enter()
	if err != nil {
		return nil, err
	}
	defer l.h.leave()
	q, err := rules.h.enter()
	if err != nil {
		return nil, err
	}
	defer rules.h.leave()
	c, own := r.asC()
	defer own.give()
	var room [capi.AICP_LIMIT_MAX_CHARGES]capi.LimitState
	var n uint64
	e := detail()
	if err := failed(capi.Aicp_limiter_peek(p, q, c, &room[0], int64(len(room)), &n, e), e); err != nil {
		return nil, err
	}
	states := make([]LimitState, 0, n)
	for _, s := range room[:n] {
		states = append(states, LimitState{
			Rule: capi.Text(capi.Aicp_limit_rules_id(q, int64(s.Rule))), Kind: LimitKind(s.Kind),
			Limit: s.Limit, Remaining: s.Remaining, Reset: duration(s.Reset_ns),
		})
	}
	return states, nil
}

// Flush tells the shared store what it does not know yet, and gives all slices back with all.
func (l *Limiter) Flush(all bool, timeout time.Duration) error {
	p, err := l.h.enter()
	if err != nil {
		return err
	}
	defer l.h.leave()
	e := detail()
	return failed(capi.Aicp_limiter_flush(p, boolean(all), nanoseconds(timeout), e), e)
}

// LimiterStats are counters since the start.
type LimiterStats struct {
	Keys, Allowed, Denied, Overflowed, Evicted, ClockBack, StoreCalls, StoreFailures uint64
}

// Stats reads the counters.
func (l *Limiter) Stats() (LimiterStats, error) {
	p, err := l.h.enter()
	if err != nil {
		return LimiterStats{}, err
	}
	defer l.h.leave()
	var c capi.LimiterStats
	c.Size = uint64(unsafe.Sizeof(c))
	e := detail()
	if err := failed(capi.Aicp_limiter_stats_get(p, &c, e), e); err != nil {
		return LimiterStats{}, err
	}
	return LimiterStats{
		Keys: c.Keys, Allowed: c.Allowed, Denied: c.Denied, Overflowed: c.Overflowed, Evicted: c.Evicted,
		ClockBack: c.Clock_back, StoreCalls: c.Store_calls, StoreFailures: c.Store_failures,
	}, nil
}

func (r LimitRule) String() string {
	return fmt.Sprintf("%s: %d %s in %s", r.ID, r.Limit, r.Kind, r.Window)
}
