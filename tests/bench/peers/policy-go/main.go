// The Go engine under the load of bench_policy.c, with the same form of output:
// policy-peer FOLDER, the folder of one workload.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	cedar "github.com/cedar-policy/cedar-go"
)

const (
	rounds = 15
	loads  = 10
	// No workload is measured longer than this, but for a few rounds.
	seconds     = 10
	roundsLeast = 3
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy-peer:", err)
		os.Exit(1)
	}
	return value
}

const (
	thread = 1 // RUSAGE_THREAD
	// All threads, so that the collector of garbage counts.
	process = syscall.RUSAGE_SELF
)

func cpu(who int) time.Duration {
	var u syscall.Rusage
	must(0, syscall.Getrusage(who, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func wall() time.Duration { return time.Since(began) }

var began = time.Now()

func peakKB() int {
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/status")))) {
		if fields := strings.Fields(line); fields[0] == "VmHWM:" {
			return must(strconv.Atoi(fields[1]))
		}
	}
	panic("no VmHWM")
}

type uid struct{ Type, ID string }

func (u uid) cedar() cedar.EntityUID {
	return cedar.NewEntityUID(cedar.EntityType(u.Type), cedar.String(u.ID))
}

type link struct {
	TemplateID string
	Values     map[string]uid
}

// The engine has no templates: each link becomes its template's text with the slots filled.
func expand(policies string, data []byte) string {
	var links []link
	must(0, json.Unmarshal(data, &links))
	templates := map[string]string{}
	var text strings.Builder
	for statement := range strings.SplitAfterSeq(policies, ";\n") {
		if !strings.Contains(statement, "?") {
			text.WriteString(statement)
			continue
		}
		id := strings.SplitN(statement, `"`, 3)[1]
		templates[id] = statement
	}
	for _, l := range links {
		statement := templates[l.TemplateID]
		for slot, u := range l.Values {
			statement = strings.ReplaceAll(statement, slot, u.Type+"::"+strconv.Quote(u.ID))
		}
		text.WriteString(statement)
	}
	return text.String()
}

func requests(data []byte) []cedar.Request {
	var list []struct {
		Principal, Action, Resource uid
		Context                     cedar.Record
	}
	must(0, json.Unmarshal(data, &list))
	out := make([]cedar.Request, len(list))
	for i, r := range list {
		out[i] = cedar.Request{
			Principal: r.Principal.cedar(), Action: r.Action.cedar(), Resource: r.Resource.cedar(), Context: r.Context,
		}
	}
	return out
}

func measure(set *cedar.PolicySet, entities cedar.EntityMap, requests []cedar.Request) map[string]any {
	calls := make([][]int64, len(requests))
	var took []float64
	begun := time.Now()
	for len(took) < roundsLeast || len(took) < rounds && time.Since(begun) < seconds*time.Second {
		start := cpu(process)
		for _, r := range requests {
			cedar.Authorize(set, entities, r)
		}
		mean := float64(cpu(process)-start) / float64(len(requests))
		took = append(took, mean)
		clock := func() time.Duration { return cpu(thread) }
		if mean < 10_000 { // Reading the thread's time takes a microsecond.
			clock = wall
		}
		for i, r := range requests {
			call := clock()
			cedar.Authorize(set, entities, r)
			calls[i] = append(calls[i], (clock() - call).Nanoseconds())
		}
	}
	slices.Sort(took)
	medians := make([]int64, len(calls))
	for i, c := range calls {
		slices.Sort(c)
		medians[i] = c[len(c)/2]
	}
	slices.Sort(medians)
	return map[string]any{"ns": took[len(took)/2], "p50_ns": medians[len(medians)/2], "p99_ns": medians[len(medians)*99/100]}
}

func throughput(bytes int, load func()) map[string]any {
	best := time.Duration(1<<63 - 1)
	for range loads {
		start := cpu(process)
		load()
		best = min(best, cpu(process)-start)
	}
	return map[string]any{"mb_s": float64(bytes) * 1e3 / float64(max(best, 1))}
}

func printLine(what string, result map[string]any) {
	result["what"] = what
	fmt.Println(string(must(json.Marshal(result))))
}

func main() {
	runtime.LockOSThread()
	folder := os.Args[1]
	read := func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(folder, name)) }
	policies := string(must(read("policies.cedar")))
	text := policies
	if links, err := read("links.json"); err == nil {
		text = expand(policies, links)
	}
	set := must(cedar.NewPolicySetFromBytes("policies.cedar", []byte(text)))
	entitiesText := must(read("entities.json"))
	var entities cedar.EntityMap
	must(0, json.Unmarshal(entitiesText, &entities))
	list := requests(must(read("requests.json")))
	decisions := make([]byte, len(list))
	for i, r := range list {
		decisions[i] = 'D'
		if decision, _ := cedar.Authorize(set, entities, r); decision == cedar.Allow {
			decisions[i] = 'A'
		}
	}
	printLine("memory", map[string]any{"peak_kb": peakKB()})
	printLine("answers", map[string]any{"decisions": string(decisions)})
	printLine("authorize", measure(set, entities, list))
	printLine("parse", throughput(len(text), func() {
		must(cedar.NewPolicySetFromBytes("policies.cedar", []byte(text)))
	}))
	printLine("entities", throughput(len(entitiesText), func() {
		var e cedar.EntityMap
		must(0, json.Unmarshal(entitiesText, &e))
	}))
	runtime.KeepAlive(set)
}
