package aicp

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWhatComesAfterTheContextEndedIsDropped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	release, dropped := make(chan struct{}), make(chan int, 1)
	go cancel()
	_, err := await(ctx, func() (int, error) {
		<-release
		return 7, nil
	}, func(late int) { dropped <- late })
	wantCode(t, err, ErrTimeout)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
	want(t, "dropped", <-dropped, 7)
}

func TestAnErrorOfTheLibraryTellsThatTheDeadlineWasTheContexts(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	err := blame(&Error{Code: ErrWouldBlock}, ctx)
	if !errors.Is(err, ErrWouldBlock) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := blame(&Error{Code: ErrParse}, ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func BenchmarkCheckAndSettle(b *testing.B) {
	gate := openGate(b, GateOptions{})
	r := Request{Body: chat("gpt-4o", "mail bob.smith@example.com about the weather", 1), Key: "k", Tags: []string{"a"}}
	check(b, gate, r).Close()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		d, err := gate.TryCheck(&r)
		must(b, err)
		if !d.Allowed() || len(d.Body()) == 0 {
			b.Fatal(d.Message())
		}
		_, err = d.Settle(Usage{PromptTokens: 1})
		must(b, err)
		d.Close()
		if i%1000 == 0 {
			gate.Events()
		}
	}
}

func BenchmarkTake(b *testing.B) {
	rules, err := ParseLimitRules([]byte(`[{"id": "r", "kind": "requests", "limit": 1000000000, "window": "1h", "per": ["user"]}]`), 0)
	must(b, err)
	limiter, err := NewLimiter(LimiterOptions{})
	must(b, err)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		taken, err := limiter.Take(rules, &LimitRequest{User: "u"})
		must(b, err)
		must(b, taken.Settle(0))
	}
}

func BenchmarkCountTokens(b *testing.B) {
	tokenizer, err := OpenTokenizer("o200k_base")
	must(b, err)
	for i := 0; i < b.N; i++ {
		_, err := tokenizer.Count("hello world", SpecialOrdinary)
		must(b, err)
	}
}
