// Go's golang.org/x/time/rate under the load of bench_limit.c, which starts this and has the same
// form of output: medians over batches of 64 operations.
package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	batch   = 64
	batches = 20000
	keys    = 1000
)

func measure(name string, op func()) {
	for range 5000 {
		op()
	}
	times := make([]float64, batches)
	for b := range times {
		start := time.Now()
		for range batch {
			op()
		}
		times[b] = float64(time.Since(start).Nanoseconds()) / batch
	}
	slices.Sort(times)
	fmt.Printf("{\"bench\":\"%s\",\"ns\":%.1f,\"p99_ns\":%.1f}\n", name, times[batches/2], times[batches/100*99])
}

func newLimiter() *rate.Limiter { return rate.NewLimiter(rate.Limit(100e6/60), 100e6) }

func twoThreads(name string) {
	limiter := newLimiter()
	const ops = 2000000
	var group sync.WaitGroup
	took := make([]float64, 2)
	for i := range took {
		group.Add(1)
		go func() {
			defer group.Done()
			now := time.Now()
			start := time.Now()
			for range ops {
				now = now.Add(time.Microsecond)
				limiter.AllowN(now, 1)
			}
			took[i] = float64(time.Since(start).Nanoseconds()) / ops
		}()
	}
	group.Wait()
	fmt.Printf("{\"bench\":\"%s\",\"ns\":%.1f,\"threads\":2}\n", name, (took[0]+took[1])/2)
}

func main() {
	now := time.Now()
	one := newLimiter()
	measure("peer/go_x_time_rate", func() {
		now = now.Add(time.Microsecond)
		one.AllowN(now, 1)
	})
	limiters := map[string]*rate.Limiter{}
	names := make([]string, keys)
	for i := range names {
		names[i] = strings.Clone(fmt.Sprintf("sk-0123456789-%d", i))
		limiters[names[i]] = newLimiter()
	}
	var lock sync.Mutex
	next := 0
	measure("peer/go_x_time_rate_map_1000_keys", func() {
		now = now.Add(time.Microsecond)
		lock.Lock()
		limiter := limiters[names[next]]
		lock.Unlock()
		limiter.AllowN(now, 1)
		next = (next + 1) % keys
	})
	twoThreads("peer/go_x_time_rate_2_threads")
}
