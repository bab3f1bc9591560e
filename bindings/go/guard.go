package aicp

import (
	"sync"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// GuardAction is what is done about a finding, from lax to strict.
type GuardAction int

// Actions.
const (
	GuardNone      GuardAction = capi.AICP_GUARD_NONE
	GuardLog       GuardAction = capi.AICP_GUARD_LOG
	GuardFlag      GuardAction = capi.AICP_GUARD_FLAG
	GuardHash      GuardAction = capi.AICP_GUARD_HASH
	GuardAnonymize GuardAction = capi.AICP_GUARD_ANONYMIZE
	GuardMask      GuardAction = capi.AICP_GUARD_MASK
	GuardBlock     GuardAction = capi.AICP_GUARD_BLOCK
)

func (a GuardAction) String() string { return capi.Text(capi.Aicp_guard_action_name(int(a))) }

// GuardCategory is a kind of finding.
type GuardCategory int

// Categories.
const (
	GuardPII       GuardCategory = capi.AICP_GUARD_PII
	GuardSecret    GuardCategory = capi.AICP_GUARD_SECRET
	GuardInjection GuardCategory = capi.AICP_GUARD_INJECTION
	GuardInvisible GuardCategory = capi.AICP_GUARD_INVISIBLE
	GuardCustom    GuardCategory = capi.AICP_GUARD_CUSTOM
)

func (c GuardCategory) String() string { return capi.Text(capi.Aicp_guard_category_name(int(c))) }

// GuardSource is where a text comes from.
type GuardSource int

// Sources.
const (
	GuardUser      GuardSource = capi.AICP_GUARD_USER
	GuardTool      GuardSource = capi.AICP_GUARD_TOOL
	GuardRetrieved GuardSource = capi.AICP_GUARD_RETRIEVED
	GuardFile      GuardSource = capi.AICP_GUARD_FILE
	GuardSystem    GuardSource = capi.AICP_GUARD_SYSTEM
)

// GuardProfile holds rules and actions. It never changes.
type GuardProfile struct{ h *handle[capi.GuardProfile] }

// ParseGuardProfile reads a profile from JSON. hashKey is the key of the hashes in findings; all zero: a random one.
func ParseGuardProfile(text []byte, hashKey [32]byte) (*GuardProfile, error) {
	var c capi.GuardOptions
	capi.Aicp_guard_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Hash_key = hashKey
	var out *capi.GuardProfile
	e := detail()
	if err := failed(capi.Aicp_guard_profile_parse(capi.View(text), &c, &out, e), e); err != nil {
		return nil, err
	}
	return &GuardProfile{hold(out, "GuardProfile", capi.Aicp_guard_profile_free)}, nil
}

// Close frees the profile.
func (g *GuardProfile) Close() error { g.h.close(); return nil }

// Name is the name of the profile, "" when it has none.
func (g *GuardProfile) Name() string {
	p, err := g.h.enter()
	if err != nil {
		return ""
	}
	defer g.h.leave()
	return capi.Text(capi.Aicp_guard_profile_name(p))
}

// Version is the version number of the profile, 0 when it has none.
func (g *GuardProfile) Version() int64 {
	p, err := g.h.enter()
	if err != nil {
		return 0
	}
	defer g.h.leave()
	return capi.Aicp_guard_profile_version(p)
}

// GuardSession is the map between values and placeholders of one request.
type GuardSession struct{ h *handle[capi.GuardSession] }

// NewGuardSession makes an empty map.
func NewGuardSession() (*GuardSession, error) {
	var out *capi.GuardSession
	e := detail()
	if err := failed(capi.Aicp_guard_session_new(nil, &out, e), e); err != nil {
		return nil, err
	}
	return &GuardSession{hold(out, "GuardSession", capi.Aicp_guard_session_free)}, nil
}

// Close wipes all values and frees the session.
func (s *GuardSession) Close() error { s.h.close(); return nil }

// Reset wipes all values.
func (s *GuardSession) Reset() error {
	p, err := s.h.lock()
	if err != nil {
		return err
	}
	defer s.h.unlock()
	capi.Aicp_guard_session_reset(p)
	return nil
}

// SessionState tells what was found with a session so far.
type SessionState struct {
	Values  int // in the map
	Action  GuardAction
	Risk    float64 // 0 to 1
	Matches uint64
}

// State tells what was found in all texts scanned with the session.
func (s *GuardSession) State() (SessionState, error) {
	p, err := s.h.lock()
	if err != nil {
		return SessionState{}, err
	}
	defer s.h.unlock()
	return SessionState{
		Values:  int(capi.Aicp_guard_session_count(p)),
		Action:  GuardAction(capi.Aicp_guard_session_action(p)),
		Risk:    capi.Aicp_guard_session_risk(p),
		Matches: capi.Aicp_guard_session_match_count(p),
	}, nil
}

// Restore puts the values back where their placeholders stand.
func (s *GuardSession) Restore(text []byte) ([]byte, error) {
	p, err := s.h.lock()
	if err != nil {
		return nil, err
	}
	defer s.h.unlock()
	buf := new(capi.Buf)
	e := detail()
	err = failed(capi.Aicp_guard_restore(p, capi.View(text), buf, e), e)
	return buf.Take(), err
}

// ScanOptions says how a text is looked at. Without a session what would be anonymised is masked.
type ScanOptions struct {
	Output  bool // a model's answer: placeholders are put back
	Source  GuardSource
	Session *GuardSession
}

// Finding is one thing found, with its half-open span in bytes and in code points. The value itself is not told.
type Finding struct {
	Start, End         uint64
	CharStart, CharEnd uint64
	Score              float64
	Action             GuardAction
	Category           GuardCategory
	Validated          bool // a checksum, signature or structure was verified
	Decoded            bool // in an encoded payload, whose span this is
	Type               string
	Rule               string
	Preview            string
	Hash               string
}

// Scan is the outcome for a text.
type Scan struct {
	Action    GuardAction
	Risk      float64
	Scores    map[GuardCategory]float64 // highest, below the threshold too
	Findings  []Finding                 // at most 1,000
	Matches   uint64                    // all of them
	Rewritten bool
	Text      []byte // the text to use instead, when rewritten
	Reason    string // what decided the action
	Truncated bool   // the middle was not scanned
	Bytes     uint64 // looked at
	Err       error  // why the scan is incomplete; nil when it is not
}

var workspaces sync.Pool // *handle[capi.GuardResult]

func workspace() (*handle[capi.GuardResult], error) {
	if w, ok := workspaces.Get().(*handle[capi.GuardResult]); ok {
		return w, nil
	}
	var out *capi.GuardResult
	e := detail()
	if err := failed(capi.Aicp_guard_result_new(nil, &out, e), e); err != nil {
		return nil, err
	}
	return hold(out, "workspace", capi.Aicp_guard_result_free), nil
}

func (o *ScanOptions) asC() (*capi.GuardScanOptions, func(), error) {
	c := new(capi.GuardScanOptions)
	capi.Aicp_guard_scan_options_init(c, int64(unsafe.Sizeof(*c)))
	c.Source = int32(o.Source)
	if o.Output {
		c.Direction = capi.AICP_GUARD_OUTPUT
	}
	if o.Session == nil {
		return c, func() {}, nil
	}
	p, err := o.Session.h.lock()
	if err != nil {
		return nil, nil, err
	}
	c.Session = (*[0]byte)(unsafe.Pointer(p))
	return c, o.Session.h.unlock, nil
}

// Scan looks at a whole text.
func (g *GuardProfile) Scan(text []byte, o ScanOptions) (*Scan, error) {
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	defer g.h.leave()
	c, unlock, err := o.asC()
	if err != nil {
		return nil, err
	}
	defer unlock()
	w, err := workspace()
	if err != nil {
		return nil, err
	}
	defer workspaces.Put(w)
	e := detail()
	if err := failed(capi.Aicp_guard_scan(p, capi.View(text), c, w.p, e), e); err != nil {
		return nil, err
	}
	return readScan(w.p), nil
}

func readScan(p *capi.GuardResult) *Scan {
	s := &Scan{
		Action:    GuardAction(capi.Aicp_guard_result_action(p)),
		Risk:      capi.Aicp_guard_result_risk(p),
		Scores:    map[GuardCategory]float64{},
		Matches:   capi.Aicp_guard_result_match_count(p),
		Rewritten: capi.Aicp_guard_result_rewritten(p) != 0,
		Reason:    capi.Text(capi.Aicp_guard_result_reason(p)),
		Truncated: capi.Aicp_guard_result_truncated(p) != 0,
		Bytes:     capi.Aicp_guard_result_bytes(p),
	}
	for c := 0; c < capi.AICP_GUARD_CATEGORY_COUNT; c++ {
		s.Scores[GuardCategory(c)] = capi.Aicp_guard_result_score(p, c)
	}
	for i := int64(0); i < capi.Aicp_guard_result_finding_count(p); i++ {
		s.Findings = append(s.Findings, readFinding(capi.Aicp_guard_result_finding(p, i)))
	}
	var n uint64
	s.Text = capi.Bytes(capi.Aicp_guard_result_text(p, &n), n)
	if code := Code(capi.Aicp_guard_result_error(p)); code != capi.AICP_OK {
		s.Err = code
	}
	return s
}

func readFinding(f *capi.GuardFinding) Finding {
	return Finding{
		Start: f.Start, End: f.End, CharStart: f.Char_start, CharEnd: f.Char_end, Score: f.Score,
		Action: GuardAction(f.Action), Category: GuardCategory(f.Category),
		Validated: f.Validated != 0, Decoded: f.Decoded != 0,
		Type: capi.Field(f.Type[:]), Rule: capi.Field(f.Rule[:]),
		Preview: capi.Field(f.Preview[:]), Hash: capi.Field(f.Hash[:]),
	}
}

// GuardStream scans a text that comes in pieces.
type GuardStream struct {
	h       *handle[capi.GuardStream]
	session *GuardSession
}

// Stream begins a text that comes in pieces. However it is cut, what comes out is the same as for the whole text.
func (g *GuardProfile) Stream(o ScanOptions) (*GuardStream, error) {
	p, err := g.h.enter()
	if err != nil {
		return nil, err
	}
	defer g.h.leave()
	c, unlock, err := o.asC()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out *capi.GuardStream
	e := detail()
	if err := failed(capi.Aicp_guard_stream_open(p, c, &out, e), e); err != nil {
		return nil, err
	}
	free := capi.Aicp_guard_stream_free
	if o.Session != nil { // which must not be freed before
		if _, err := o.Session.h.enter(); err != nil {
			free(out)
			return nil, err
		}
		session := o.Session.h
		free = func(p *capi.GuardStream) {
			capi.Aicp_guard_stream_free(p)
			session.leave()
		}
	}
	return &GuardStream{hold(out, "GuardStream", free), o.Session}, nil
}

// Close frees the stream.
func (s *GuardStream) Close() error { s.h.close(); return nil }

func (s *GuardStream) with(call func(p *capi.GuardStream, e *capi.Error) int) ([]byte, error) {
	p, err := s.h.lock()
	if err != nil {
		return nil, err
	}
	defer s.h.unlock()
	if s.session != nil {
		s.session.h.mu.Lock()
		defer s.session.h.mu.Unlock()
	}
	e := detail()
	if err := failed(call(p, e), e); err != nil {
		return nil, err
	}
	var n uint64
	return capi.Bytes(capi.Aicp_guard_stream_released(p, &n), n), nil
}

// Feed adds a piece, cut anywhere, and gives what may go on by now.
func (s *GuardStream) Feed(piece []byte) ([]byte, error) {
	return s.with(func(p *capi.GuardStream, e *capi.Error) int {
		return capi.Aicp_guard_stream_feed(p, capi.View(piece), e)
	})
}

// Finish ends the text and gives the rest.
func (s *GuardStream) Finish() ([]byte, error) {
	return s.with(func(p *capi.GuardStream, e *capi.Error) int { return capi.Aicp_guard_stream_finish(p, e) })
}

// Result is the outcome so far, with offsets of the whole text.
func (s *GuardStream) Result() (*Scan, error) {
	p, err := s.h.lock()
	if err != nil {
		return nil, err
	}
	defer s.h.unlock()
	return readScan(capi.Aicp_guard_stream_result(p)), nil
}

// GuardRule is one rule of the engine.
type GuardRule struct {
	ID          string
	Type        string
	Description string
	Validation  string // how a match is verified; "" when only by its shape
	Region      string // country code; "" for all
	Category    GuardCategory
	Action      GuardAction // when the profile names none
	Score       float64
}

// GuardRules lists what the library can find.
func GuardRules() []GuardRule {
	text := func(p *int8) string { return capi.Text((*byte)(unsafe.Pointer(p))) }
	rules := make([]GuardRule, capi.Aicp_guard_rule_count())
	for i := range rules {
		r := capi.Aicp_guard_rule_at(int64(i))
		rules[i] = GuardRule{
			ID: text(r.Id), Type: text(r.Type), Description: text(r.Description),
			Validation: text(r.Validation), Region: text(r.Region),
			Category: GuardCategory(r.Category), Action: GuardAction(r.Action), Score: r.Score,
		}
	}
	return rules
}
