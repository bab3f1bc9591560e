package aicp

import (
	"context"
	"errors"
	"math"
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// Align says how windows are placed.
type Align int32

// Placements: by the calendar, or every N units from an anchor.
const (
	AlignCalendar Align = capi.AICP_BUDGET_ALIGN_CALENDAR
	AlignAnchor   Align = capi.AICP_BUDGET_ALIGN_ANCHOR
)

// WindowOptions says how a duration is placed. Zero means default.
type WindowOptions struct {
	Timezone  string // IANA name; UTC
	ResetTime string // "HH:MM" or "HH:MM:SS"; midnight
	Anchor    time.Time
	Align     Align
}

// BudgetWindow says when a budget resets. It never changes.
type BudgetWindow struct{ h *handle[capi.BudgetWindow] }

// ParseBudgetWindow reads a duration: "1mo", "24h", "weekly", "never".
func ParseBudgetWindow(text string, o WindowOptions) (*BudgetWindow, error) {
	m := capi.Room(len(o.Timezone) + len(o.ResetTime) + 64)
	defer m.Free()
	var c capi.BudgetWindowOptions
	capi.Aicp_budget_window_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Timezone, c.Timezone_len = m.Put(o.Timezone), uint64(len(o.Timezone))
	c.Reset_time, c.Reset_time_len = m.Put(o.ResetTime), uint64(len(o.ResetTime))
	c.Anchor_ns, c.Align = wall(o.Anchor), int32(o.Align)
	var out *capi.BudgetWindow
	e := detail()
	if err := failed(capi.Aicp_budget_window_parse(text, &c, &out, e), e); err != nil {
		return nil, err
	}
	return &BudgetWindow{hold(out, "BudgetWindow", capi.Aicp_budget_window_free)}, nil
}

// Close frees the window.
func (w *BudgetWindow) Close() error { w.h.close(); return nil }

// At gives start and end of the window that holds a moment. The end is no part of it; zero times mean without end.
func (w *BudgetWindow) At(moment time.Time) (start, end time.Time, err error) {
	p, err := w.h.enter()
	if err != nil {
		return start, end, err
	}
	defer w.h.leave()
	var from, to int64
	e := detail()
	err = failed(capi.Aicp_budget_window_at(p, moment.UnixNano(), &from, &to, e), e)
	if err == nil {
		start, end = moment1970(from), moment1970(to)
	}
	return start, end, err
}

func wall(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment1970(ns int64) time.Time {
	if ns == math.MinInt64 || ns == capi.AICP_BUDGET_FOREVER {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Unlimited is the limit of an account without one.
const Unlimited int64 = capi.AICP_LEDGER_UNLIMITED

// UnknownPrice says what becomes of a request whose price is not known.
type UnknownPrice int32

// Rules for unknown prices.
const (
	UnknownPriceDefault UnknownPrice = capi.AICP_BUDGET_UNKNOWN_DEFAULT // deny where the limit is hard
	UnknownPriceDeny    UnknownPrice = capi.AICP_BUDGET_UNKNOWN_DENY
	UnknownPriceAllow   UnknownPrice = capi.AICP_BUDGET_UNKNOWN_ALLOW
)

// LedgerOptions says how a ledger is opened. Zero means default.
type LedgerOptions struct {
	Node         string
	Sync         bool // a call is done when it is committed in the store
	Background   bool // one thread flushes, renews and sweeps
	DefaultTTL   time.Duration
	HoldTTL      time.Duration
	FlushAfter   time.Duration
	RefreshAfter time.Duration
	IdleAfter    time.Duration
	Batch        uint32
	UnsentMax    uint32
	Remember     uint32
	SliceDivisor uint32
	Journal      string        // file that keeps unsent settlements while the store is away; processes may share it
	Keep         time.Duration // finished reservations stay in the store at least this long
	ServiceKey   string        // what the ledger shows to the server of a URL http(s)://
	MaxWait      time.Duration // how long a call without a deadline may wait for the store; default 5 s
}

// Ledger is a node of a ledger that processes share. Many goroutines may use it; open one per process.
type Ledger struct {
	h       *handle[capi.Ledger]
	maxWait time.Duration
	sync    bool
}

// OpenLedger opens the ledger in a store: "sqlite:///absolute/path", "sqlite::memory:" or "postgresql://…"; or through a
// server that has the store and hands messages to Serve: "http://…", "https://…".
func OpenLedger(url string, o LedgerOptions) (*Ledger, error) {
	m := capi.Room(len(o.Node) + len(o.Journal) + len(o.ServiceKey) + 64)
	defer m.Free()
	var c capi.LedgerOptions
	capi.Aicp_ledger_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.Node != "" {
		c.Node, c.Node_len = m.Put(o.Node), uint64(len(o.Node))
	}
	if o.Journal != "" {
		c.Journal_path, c.Journal_path_len = m.Put(o.Journal), uint64(len(o.Journal))
	}
	c.Keep_ns = nanoseconds(o.Keep)
	if o.ServiceKey != "" {
		c.Service_key, c.Service_key_len = m.Put(o.ServiceKey), uint64(len(o.ServiceKey))
	}
	if o.Sync {
		c.Mode = capi.AICP_LEDGER_SYNC
	}
	c.Background = int32(boolean(o.Background))
	c.Default_ttl_ns, c.Hold_ttl_ns = nanoseconds(o.DefaultTTL), nanoseconds(o.HoldTTL)
	c.Flush_ns, c.Refresh_ns = nanoseconds(o.FlushAfter), nanoseconds(o.RefreshAfter)
	c.Idle_ns = nanoseconds(o.IdleAfter)
	c.Batch, c.Unsent_max = o.Batch, o.UnsentMax
	c.Remember, c.Slice_divisor = o.Remember, o.SliceDivisor
	var out *capi.Ledger
	e := detail()
	if err := failed(capi.Aicp_ledger_open(url, &c, &out, e), e); err != nil {
		return nil, err
	}
	l := &Ledger{hold(out, "Ledger", capi.Aicp_ledger_free), o.MaxWait, o.Sync}
	if l.maxWait <= 0 {
		l.maxWait = defaultMaxWait
	}
	return l, nil
}

// Close sends what is unsent, gives all holds back and frees the ledger, as soon as no call uses it.
func (l *Ledger) Close() error { l.h.close(); return nil }

// waiting runs a call that must ask the store, in its own time when the context can end it.
func (l *Ledger) waiting(ctx context.Context, call func(p *capi.Ledger, end uint64, e *capi.Error) int) error {
	end := deadline(patience(ctx, l.maxWait))
	return awaitErr(ctx, func() error {
		p, err := l.h.enter()
		if err != nil {
			return err
		}
		defer l.h.leave()
		e := detail()
		return failed(call(p, end, e), e)
	})
}

// memory runs a call that never waits.
func (l *Ledger) memory(call func(p *capi.Ledger, e *capi.Error) int) error {
	p, err := l.h.enter()
	if err != nil {
		return err
	}
	defer l.h.leave()
	e := detail()
	return failed(call(p, e), e)
}

// Account is an account as it shall be.
type Account struct {
	Limit          int64 // hard limit of a window; Unlimited, or 0 to block all
	Duration       string
	Timezone       string
	ResetTime      string
	Anchor         time.Time
	Align          Align
	OnUnknownPrice UnknownPrice
	TempIncrease   int64
	TempUntil      time.Time
	RolloverMax    int64
	SoftPercent    []int32
	SoftNano       []int64
	Frozen         bool
}

// Put makes an account be as described.
func (l *Ledger) Put(ctx context.Context, account string, a Account) error {
	size := len(a.Duration) + len(a.Timezone) + len(a.ResetTime) + 4*len(a.SoftPercent) + 8*len(a.SoftNano)
	m := capi.Room(size + int(unsafe.Sizeof(capi.LedgerAccount{})) + 128)
	c := (*capi.LedgerAccount)(m.Raw(int(unsafe.Sizeof(capi.LedgerAccount{}))))
	capi.Aicp_ledger_account_init(c, int64(unsafe.Sizeof(*c)))
	c.Limit_nano = a.Limit
	c.Duration, c.Duration_len = m.Put(a.Duration), uint64(len(a.Duration))
	c.Timezone, c.Timezone_len = m.Put(a.Timezone), uint64(len(a.Timezone))
	c.Reset_time, c.Reset_time_len = m.Put(a.ResetTime), uint64(len(a.ResetTime))
	c.Anchor_ns, c.Align = wall(a.Anchor), int32(a.Align)
	c.On_unknown_price = int32(a.OnUnknownPrice)
	c.Temp_increase_nano, c.Temp_until_ns = a.TempIncrease, wall(a.TempUntil)
	c.Rollover_max_nano = a.RolloverMax
	if n := len(a.SoftPercent); n > 0 {
		c.Soft_percent, c.Soft_percent_count = (*int32)(m.Raw(4*n)), uint64(n)
		copy(unsafe.Slice(c.Soft_percent, n), a.SoftPercent)
	}
	if n := len(a.SoftNano); n > 0 {
		c.Soft_nano, c.Soft_nano_count = (*int64)(m.Raw(8*n)), uint64(n)
		copy(unsafe.Slice(c.Soft_nano, n), a.SoftNano)
	}
	c.Frozen = int32(boolean(a.Frozen))
	return l.owning(ctx, m, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		return capi.Aicp_ledger_account_put(p, account, c, end, e)
	})
}

// owning is waiting for a call that reads memory, which is freed when the call is over, however long that takes.
func (l *Ledger) owning(
	ctx context.Context, m *capi.Memory, call func(p *capi.Ledger, end uint64, e *capi.Error) int,
) error {
	if err := ctx.Err(); err != nil {
		m.Free()
		return ended(err)
	}
	end := deadline(patience(ctx, l.maxWait))
	return awaitErr(ctx, func() error {
		defer m.Free()
		p, err := l.h.enter()
		if err != nil {
			return err
		}
		defer l.h.leave()
		e := detail()
		return failed(call(p, end, e), e)
	})
}

// AccountStatus is the state of an account in its open window.
type AccountStatus struct {
	Limit       int64
	Spent       int64
	Reserved    int64
	Held        int64
	Remaining   int64
	WindowStart time.Time // zero: without beginning
	WindowEnd   time.Time // zero: without end
	Window      int64
	Frozen      bool
	Stale       bool // from memory, the store did not answer
}

// Status reads an account from the store.
func (l *Ledger) Status(ctx context.Context, account string) (AccountStatus, error) {
	c := new(capi.LedgerStatus)
	c.Size = uint64(unsafe.Sizeof(*c))
	err := l.waiting(ctx, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		return capi.Aicp_ledger_account_status(p, account, end, c, e)
	})
	if err != nil {
		return AccountStatus{}, err
	}
	return readStatus(c), nil
}

// Known is the state of an account as of the last look; ErrWouldBlock when it was never looked at.
func (l *Ledger) Known(account string) (AccountStatus, error) {
	c := new(capi.LedgerStatus)
	c.Size = uint64(unsafe.Sizeof(*c))
	err := l.memory(func(p *capi.Ledger, e *capi.Error) int {
		return capi.Aicp_ledger_account_status(p, account, 0, c, e)
	})
	if err != nil {
		return AccountStatus{}, err
	}
	return readStatus(c), nil
}

func readStatus(c *capi.LedgerStatus) AccountStatus {
	return AccountStatus{
		Limit: c.Limit_nano, Spent: c.Spent_nano, Reserved: c.Reserved_nano, Held: c.Held_nano,
		Remaining: c.Remaining_nano, WindowStart: moment1970(c.Window_start_ns),
		WindowEnd: moment1970(c.Window_end_ns), Window: c.Window, Frozen: c.Frozen != 0, Stale: c.Stale != 0,
	}
}

// Reservation is a reservation to be made. The id is the idempotency key of all that follows.
type Reservation struct {
	ID           string
	Accounts     []string
	Amount       int64 // the most the request can cost
	TTL          time.Duration
	UnknownPrice bool
}

// Reserved is the answer to a reservation. The figures are those of Account: the one that refused, or the tightest.
type Reserved struct {
	Admitted   bool
	Replayed   bool
	Account    string
	Degraded   bool
	Limit      int64
	Remaining  int64
	ResetAt    time.Time // zero: never
	Window     int64
	ReservedAt time.Time
}

// texts writes a list of texts into memory with room for it.
func texts(m *capi.Memory, list []string) *capi.LedgerText {
	if len(list) == 0 {
		return nil
	}
	to := unsafe.Slice((*capi.LedgerText)(m.Raw(len(list)*int(unsafe.Sizeof(capi.LedgerText{})))), len(list))
	for i, text := range list {
		to[i] = capi.LedgerText{Data: m.Put(text), Len: uint64(len(text))}
	}
	return &to[0]
}

func roomFor(list []string) int {
	size := 64
	for _, text := range list {
		size += len(text) + 32
	}
	return size
}

// Reserve reserves an amount on several accounts, all or none. A refusal is an answer, not an error. It waits for the
// store only when it must.
func (l *Ledger) Reserve(ctx context.Context, r Reservation) (*Reserved, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	if !l.sync {
		answer, err := l.reserve(r, 0)
		if !errors.Is(err, ErrWouldBlock) {
			return answer, err
		}
	}
	end := deadline(patience(ctx, l.maxWait))
	r.Accounts = append([]string(nil), r.Accounts...)
	return await(ctx, func() (*Reserved, error) { return l.reserve(r, end) }, func(late *Reserved) {
		if late.Admitted {
			_ = l.Release(r.ID)
		}
	})
}

// TryReserve is Reserve that never waits; ErrWouldBlock says that the store must be asked first.
func (l *Ledger) TryReserve(r Reservation) (*Reserved, error) { return l.reserve(r, 0) }

func (l *Ledger) reserve(r Reservation, end uint64) (*Reserved, error) {
	p, err := l.h.enter()
	if err != nil {
		return nil, err
	}
	defer l.h.leave()
	own, m := borrow(roomFor(r.Accounts) + len(r.ID) + int(unsafe.Sizeof(capi.LedgerRequest{})))
	defer own.give()
	c := (*capi.LedgerRequest)(m.Raw(int(unsafe.Sizeof(capi.LedgerRequest{}))))
	*c = capi.LedgerRequest{Size: uint64(unsafe.Sizeof(*c))}
	c.Id, c.Id_len = m.Put(r.ID), uint64(len(r.ID))
	c.Accounts, c.Accounts_count = texts(m, r.Accounts), uint64(len(r.Accounts))
	c.Amount_nano, c.Ttl_ns, c.Deadline_ns = r.Amount, nanoseconds(r.TTL), end
	c.Unknown_price = int32(boolean(r.UnknownPrice))
	out := new(capi.LedgerResult)
	out.Size = uint64(unsafe.Sizeof(*out))
	e := detail()
	status := capi.Aicp_ledger_reserve(p, c, out, e)
	if err := failed(status, e); err != nil && status != capi.AICP_ERR_BUDGET_EXCEEDED {
		return nil, err
	}
	answer := &Reserved{
		Admitted: out.Admitted != 0, Replayed: out.Replayed != 0, Degraded: out.Degraded != 0,
		Limit: out.Limit_nano, Remaining: out.Remaining_nano, ResetAt: moment1970(out.Reset_at_ns),
		Window: out.Window, ReservedAt: moment1970(out.Reserved_at_ns),
	}
	if int(out.Account) < len(r.Accounts) {
		answer.Account = r.Accounts[out.Account]
	}
	return answer, nil
}

// MarkDispatched notes that the request went out: its reservation no longer goes back by itself. estimate below 0 is
// the reserved amount.
func (l *Ledger) MarkDispatched(id string, estimate int64) error {
	return l.memory(func(p *capi.Ledger, e *capi.Error) int {
		return capi.Aicp_ledger_mark_dispatched(p, id, estimate, e)
	})
}

// Renew moves the deadline of a reservation; ttl 0: the default.
func (l *Ledger) Renew(id string, ttl time.Duration) error {
	return l.memory(func(p *capi.Ledger, e *capi.Error) int {
		return capi.Aicp_ledger_renew(p, id, nanoseconds(ttl), e)
	})
}

// Settle posts what a reservation really cost. It never waits for the store.
func (l *Ledger) Settle(id string, actual int64) error {
	return l.memory(func(p *capi.Ledger, e *capi.Error) int {
		return capi.Aicp_ledger_settle(p, id, actual, nil, e)
	})
}

// Settlement is what a process needs to settle a reservation of another one.
type Settlement struct {
	Accounts   []string
	ReservedAt time.Time // zero: now
}

// SettleFor settles a reservation that this process may not know.
func (l *Ledger) SettleFor(ctx context.Context, id string, actual int64, s Settlement) error {
	m := capi.Room(roomFor(s.Accounts) + int(unsafe.Sizeof(capi.LedgerSettlement{})) + 64)
	c := (*capi.LedgerSettlement)(m.Raw(int(unsafe.Sizeof(capi.LedgerSettlement{}))))
	*c = capi.LedgerSettlement{Size: uint64(unsafe.Sizeof(*c)), Reserved_at_ns: wall(s.ReservedAt)}
	c.Accounts, c.Accounts_count = texts(m, s.Accounts), uint64(len(s.Accounts))
	return l.owning(ctx, m, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		c.Deadline_ns = end
		return capi.Aicp_ledger_settle(p, id, actual, c, e)
	})
}

// Release gives a reservation back; only for requests that never went out.
func (l *Ledger) Release(id string) error {
	return l.memory(func(p *capi.Ledger, e *capi.Error) int { return capi.Aicp_ledger_release(p, id, e) })
}

// Adjustment is a correction of posted money.
type Adjustment struct {
	ID     string // idempotency key
	Reason string
	Amount int64     // added to what is spent
	At     time.Time // whose window is corrected; zero: now
}

// Adjust corrects what is spent.
func (l *Ledger) Adjust(ctx context.Context, account string, a Adjustment) error {
	m := capi.Room(len(a.ID) + len(a.Reason) + int(unsafe.Sizeof(capi.LedgerAdjustment{})) + 64)
	c := (*capi.LedgerAdjustment)(m.Raw(int(unsafe.Sizeof(capi.LedgerAdjustment{}))))
	*c = capi.LedgerAdjustment{Size: uint64(unsafe.Sizeof(*c)), Amount_nano: a.Amount, At_ns: wall(a.At)}
	c.Id, c.Id_len = m.Put(a.ID), uint64(len(a.ID))
	c.Reason, c.Reason_len = m.Put(a.Reason), uint64(len(a.Reason))
	return l.owning(ctx, m, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		c.Deadline_ns = end
		return capi.Aicp_ledger_adjust(p, account, c, e)
	})
}

// Flush sends everything unsent and does the housekeeping once.
func (l *Ledger) Flush(ctx context.Context) error {
	return l.waiting(ctx, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		return capi.Aicp_ledger_flush(p, end, e)
	})
}

// GiveBack sends everything and gives all holds back, as before the end; the ledger stays usable.
func (l *Ledger) GiveBack(ctx context.Context) error {
	return l.waiting(ctx, func(p *capi.Ledger, end uint64, e *capi.Error) int {
		return capi.Aicp_ledger_close(p, end, e)
	})
}

// SoftLimitEvent is a soft threshold that was passed. Percent is 0 when it is an amount.
type SoftLimitEvent struct {
	Account   string
	Window    int64
	WindowEnd time.Time
	Threshold int64
	Percent   int
	Spent     int64
	Limit     int64
}

// Events takes the soft thresholds that this process saw passed.
func (l *Ledger) Events() ([]SoftLimitEvent, error) {
	var events []SoftLimitEvent
	c := new(capi.LedgerEvent)
	for {
		*c = capi.LedgerEvent{Size: uint64(unsafe.Sizeof(*c))}
		err := l.memory(func(p *capi.Ledger, e *capi.Error) int { return capi.Aicp_ledger_event_next(p, c, e) })
		if errors.Is(err, ErrNotFound) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, SoftLimitEvent{
			Account: capi.Field(c.Account[:]), Window: c.Window, WindowEnd: moment1970(c.Window_end_ns),
			Threshold: c.Threshold_nano, Percent: int(c.Threshold_percent), Spent: c.Spent_nano, Limit: c.Limit_nano,
		})
	}
}

// LedgerMetrics are counters since the ledger was opened.
type LedgerMetrics struct {
	Admitted, Denied, Settled, Released, Expired, Estimated, Recovered, Late, Duplicates uint64

	OverrunNano, WouldBlock, Transactions, StoreErrors, Unsent, ClockBackward, EventsDropped uint64
}

// Metrics reads the counters.
func (l *Ledger) Metrics() (LedgerMetrics, error) {
	c := new(capi.LedgerMetrics)
	c.Size = uint64(unsafe.Sizeof(*c))
	err := l.memory(func(p *capi.Ledger, _ *capi.Error) int {
		capi.Aicp_ledger_metrics_get(p, c)
		return capi.AICP_OK
	})
	return LedgerMetrics{
		Admitted: c.Admitted, Denied: c.Denied, Settled: c.Settled, Released: c.Released, Expired: c.Expired,
		Estimated: c.Estimated, Recovered: c.Recovered, Late: c.Late, Duplicates: c.Duplicates,
		OverrunNano: c.Overrun_nano, WouldBlock: c.Would_block, Transactions: c.Transactions,
		StoreErrors: c.Store_errors, Unsent: c.Unsent, ClockBackward: c.Clock_backward,
		EventsDropped: c.Events_dropped,
	}, err
}

// LedgerQuery says which rows a listing gives. Zero means all, in pages of 100.
type LedgerQuery struct {
	Prefix string // only ids that begin so
	After  string // only ids behind this one: the last of the page before
	Limit  uint32 // at most 1,000
}

// AccountRow is an account in its open window, as the store knows it. Held is reserved, unsent or unused by all
// processes.
type AccountRow struct {
	ID          string
	Limit       int64
	Spent       int64
	Held        int64
	Remaining   int64
	WindowStart time.Time // zero: without beginning
	WindowEnd   time.Time // zero: without end
	Window      int64
	Frozen      bool
}

// ReservationRow is a pending reservation that the store knows. Estimate is posted when it is never settled.
type ReservationRow struct {
	ID         string
	Amount     int64
	Estimate   int64
	ReservedAt time.Time
	Deadline   time.Time
	Window     int64
	Dispatched bool
}

// list fetches a page and gives it to read, row by row; a page that comes too late is freed.
func (l *Ledger) list(
	ctx context.Context, q LedgerQuery,
	call func(p *capi.Ledger, q *capi.LedgerQuery, out **capi.LedgerPage, e *capi.Error) int,
	read func(page *capi.LedgerPage, index int64),
) error {
	end := deadline(patience(ctx, l.maxWait))
	page, err := await(ctx, func() (*handle[capi.LedgerPage], error) {
		p, err := l.h.enter()
		if err != nil {
			return nil, err
		}
		defer l.h.leave()
		m := capi.Room(len(q.Prefix) + len(q.After) + 32)
		defer m.Free()
		c := &capi.LedgerQuery{Size: uint64(unsafe.Sizeof(capi.LedgerQuery{})), Limit: q.Limit, Deadline_ns: end}
		c.Prefix, c.Prefix_len = m.Put(q.Prefix), uint64(len(q.Prefix))
		c.After, c.After_len = m.Put(q.After), uint64(len(q.After))
		var out *capi.LedgerPage
		e := detail()
		if err := failed(call(p, c, &out, e), e); err != nil {
			return nil, err
		}
		return hold(out, "page", capi.Aicp_ledger_page_free), nil
	}, func(page *handle[capi.LedgerPage]) { page.close() })
	if err != nil {
		return err
	}
	defer page.close()
	for i := int64(0); i < capi.Aicp_ledger_page_count(page.p); i++ {
		read(page.p, i)
	}
	return nil
}

// Accounts lists accounts in the order of their ids.
func (l *Ledger) Accounts(ctx context.Context, q LedgerQuery) ([]AccountRow, error) {
	var rows []AccountRow
	err := l.list(ctx, q, capi.Aicp_ledger_account_list, func(page *capi.LedgerPage, i int64) {
		r := capi.Aicp_ledger_page_account(page, i)
		rows = append(rows, AccountRow{
			ID:    string(capi.Bytes((*byte)(unsafe.Pointer(r.Id)), r.Id_len)),
			Limit: r.Limit_nano, Spent: r.Spent_nano, Held: r.Held_nano, Remaining: r.Remaining_nano,
			WindowStart: moment1970(r.Window_start_ns), WindowEnd: moment1970(r.Window_end_ns),
			Window: r.Window, Frozen: r.Frozen != 0,
		})
	})
	return rows, err
}

// Reservations lists those in flight on an account, as far as the store knows them.
func (l *Ledger) Reservations(ctx context.Context, account string, q LedgerQuery) ([]ReservationRow, error) {
	var rows []ReservationRow
	call := func(p *capi.Ledger, q *capi.LedgerQuery, out **capi.LedgerPage, e *capi.Error) int {
		return capi.Aicp_ledger_reservation_list(p, account, q, out, e)
	}
	err := l.list(ctx, q, call, func(page *capi.LedgerPage, i int64) {
		r := capi.Aicp_ledger_page_reservation(page, i)
		rows = append(rows, ReservationRow{
			ID:     string(capi.Bytes((*byte)(unsafe.Pointer(r.Id)), r.Id_len)),
			Amount: r.Amount_nano, Estimate: r.Estimate_nano, ReservedAt: moment1970(r.Reserved_at_ns),
			Deadline: moment1970(r.Deadline_ns), Window: r.Window, Dispatched: r.Dispatched != 0,
		})
	})
	return rows, err
}

// Spend is what was booked on an account since a moment, rounded down to a full minute.
func (l *Ledger) Spend(ctx context.Context, account string, since time.Time) (int64, error) {
	nano := new(int64)
	err := l.waiting(ctx, func(p *capi.Ledger, _ uint64, e *capi.Error) int {
		return capi.Aicp_ledger_account_spend(p, account, since.UnixNano(), nano, e)
	})
	if err != nil {
		return 0, err
	}
	return *nano, nil
}

// Serve does what a ledger opened with a URL http(s):// asks for: message is the body of its request, and the result
// goes into {"format":"aicp-leases/1","ledger":…}. Check the service key before. It waits for the store at most 4 s.
func (l *Ledger) Serve(ctx context.Context, message []byte) ([]byte, error) {
	text := string(message) // the caller may change its own when the context ends the waiting
	return await(ctx, func() ([]byte, error) {
		p, err := l.h.enter()
		if err != nil {
			return nil, err
		}
		defer l.h.leave()
		return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return capi.Aicp_ledger_serve(p, text, buf, e) })
	}, nil)
}
