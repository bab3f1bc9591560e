package aicp

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"aicp.dev/go/internal/capi"
)

// handle holds an object of the library. The object is freed when it is closed and nobody uses it: users counts the
// open handle itself, the calls under way and the objects made of it.
type handle[T any] struct {
	p      *T
	what   string
	free   func(*T)
	users  int32
	closed uint32
	mu     sync.Mutex // of objects that belong to one goroutine at a time
}

// live counts the objects that are not freed yet.
var live int64

func hold[T any](p *T, what string, free func(*T)) *handle[T] {
	h := &handle[T]{p: p, what: what, free: free, users: 1}
	atomic.AddInt64(&live, 1)
	runtime.SetFinalizer(h, func(h *handle[T]) {
		// Closing may talk to a store: not in the goroutine that runs all finalizers.
		go h.close()
	})
	return h
}

// enter begins a use of the object; leave ends it.
func (h *handle[T]) enter() (*T, error) {
	if h == nil {
		var none *T
		return none, &Error{Code: ErrState, Message: "this object was not made by this package"}
	}
	for atomic.LoadUint32(&h.closed) == 0 {
		n := atomic.LoadInt32(&h.users)
		if n <= 0 {
			break
		}
		if atomic.CompareAndSwapInt32(&h.users, n, n+1) {
			return h.p, nil
		}
	}
	return nil, closed(h.what)
}

func (h *handle[T]) leave() {
	if atomic.AddInt32(&h.users, -1) == 0 {
		h.free(h.p)
		atomic.AddInt64(&live, -1)
	}
}

// lock is enter for an object that serves one goroutine at a time; unlock ends it.
func (h *handle[T]) lock() (*T, error) {
	p, err := h.enter()
	if err == nil {
		h.mu.Lock()
	}
	return p, err
}

func (h *handle[T]) unlock() {
	h.mu.Unlock()
	h.leave()
}

func (h *handle[T]) close() {
	if h != nil && atomic.CompareAndSwapUint32(&h.closed, 0, 1) {
		runtime.SetFinalizer(h, nil)
		h.leave()
	}
}

// answer is what a call gives.
type answer[T any] struct {
	value T
	err   error
}

// await runs a call that may wait. When the context ends first, the call goes on by itself and drop gets what it
// makes.
func await[T any](ctx context.Context, call func() (T, error), drop func(T)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, ended(err)
	}
	if ctx.Done() == nil {
		return call()
	}
	done := make(chan answer[T], 1)
	go func() {
		value, err := call()
		done <- answer[T]{value, err}
	}()
	select {
	case got := <-done:
		return got.value, blame(got.err, ctx)
	case <-ctx.Done():
		go func() {
			if got := <-done; got.err == nil && drop != nil {
				drop(got.value)
			}
		}()
		return none, ended(ctx.Err())
	}
}

// awaitErr is await for calls that make nothing.
func awaitErr(ctx context.Context, call func() error) error {
	_, err := await(ctx, func() (struct{}, error) { return struct{}{}, call() }, nil)
	return err
}

func ended(cause error) error {
	return &Error{Code: ErrTimeout, Message: "gave up waiting: " + cause.Error(), cause: cause}
}

// blame adds the end of the context to an error that says that time ran out.
func blame(err error, ctx context.Context) error {
	var e *Error
	if errors.As(err, &e) && e.cause == nil && (e.Code == ErrWouldBlock || e.Code == ErrTimeout) {
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			e.cause = context.DeadlineExceeded
		}
	}
	return err
}

// patience is how long a call may wait: until the context's deadline, or most where it has none.
func patience(ctx context.Context, most time.Duration) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return most
	}
	left := time.Until(end)
	if left < 1 {
		left = 1 // 0 would mean: do not wait
	}
	return left
}

// deadline is a moment on the library's clock.
func deadline(wait time.Duration) uint64 {
	if wait <= 0 {
		return 0
	}
	return capi.Aicp_go_monotonic_ns() + uint64(wait)
}

func boolean(on bool) int {
	if on {
		return 1
	}
	return 0
}
