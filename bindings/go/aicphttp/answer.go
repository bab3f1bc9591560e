package aicphttp

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"

	aicp "aicp.dev/go"
)

// How an answer goes on to the client.
const (
	undecided = iota
	pass      // as it comes
	whole     // kept until it is complete, then scanned
	streamed  // scanned event by event
	withheld  // not at all: it cannot be scanned
)

// answer stands between the handler behind and the client.
type answer struct {
	w       http.ResponseWriter
	d       *aicp.Decision
	o       *Options
	stop    func() // ends the call of the handler behind
	status  int
	how     int
	body    bytes.Buffer
	why     string // it is withheld
	events  *events
	stopped bool // by the gate
	settled bool
}

func (a *answer) Header() http.Header { return a.w.Header() }

func (a *answer) WriteHeader(status int) {
	if a.how != undecided || status == http.StatusSwitchingProtocols {
		return
	}
	if status < 200 {
		a.w.WriteHeader(status)
		return
	}
	a.status = status
	header := a.w.Header()
	addHeaders(header, a.d)
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	encoding := header.Get("Content-Encoding")
	switch {
	case status >= 300:
		a.how = pass
	case encoding != "" && encoding != "identity":
		a.how, a.why = withheld, "the answer is compressed and cannot be scanned"
		return
	case kind == "text/event-stream":
		a.how = streamed
		header.Del("Content-Length")
	case kind == "" || kind == "text/plain" || kind == "application/json" || strings.HasSuffix(kind, "+json"):
		a.how = whole
		return // with what is known when the answer is complete
	default: // audio, pictures
		a.how = pass
	}
	a.w.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.how == undecided {
		if a.Header().Get("Content-Type") == "" {
			a.Header().Set("Content-Type", http.DetectContentType(p))
		}
		a.WriteHeader(http.StatusOK)
	}
	switch a.how {
	case pass:
		return a.w.Write(p)
	case whole:
		if int64(a.body.Len()+len(p)) > a.o.MaxAnswer {
			a.how, a.why = withheld, "the answer is longer than can be scanned"
			a.body = bytes.Buffer{}
			return len(p), nil
		}
		return a.body.Write(p)
	case streamed:
		if a.stopped {
			return len(p), nil
		}
		out, ok, err := a.events.feed(p)
		if err != nil || !ok {
			a.halt(out, err)
			return len(p), nil
		}
		if _, err := a.w.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (a *answer) Flush() {
	if a.how == undecided {
		a.WriteHeader(http.StatusOK)
	}
	if flusher, ok := a.w.(http.Flusher); ok && (a.how == pass || a.how == streamed) {
		flusher.Flush()
	}
}

// halt ends a stream that must not go on with an error event, and the call of the model with it.
func (a *answer) halt(before []byte, err error) {
	a.stopped = true
	told := refusal(a.d)
	if err != nil {
		a.o.Log(err)
		told = problem{Message: "the answer could not be scanned", Type: "gate_unavailable", Code: "gate_unavailable"}
	}
	event, _ := json.Marshal(map[string]problem{"error": told})
	_, _ = a.w.Write(append(append(before, "data: "...), append(event, "\n\n"...)...))
	a.Flush()
	a.stop()
}

// end completes the answer of a call that ended in order, and its decision.
func (a *answer) end(clientGone bool) {
	switch {
	case a.how == whole:
		a.complete()
	case a.how == withheld:
		a.settle(aicp.Usage{PromptTokens: a.d.InputTokens()})
		fail(a.w, http.StatusBadGateway, "answer_withheld", a.why)
	case a.how == streamed:
		if !a.stopped {
			out, ok, err := a.events.finish()
			if err != nil || !ok {
				a.halt(out, err)
			} else if len(out) > 0 {
				_, _ = a.w.Write(out)
			}
		}
		a.settle(a.events.used())
	case a.how == pass && a.status < 300:
		a.settle(aicp.Usage{PromptTokens: a.d.InputTokens()})
	case clientGone: // the model may have been at work
		a.settle(a.events.used())
	default:
		a.release()
	}
}

// broken ends the decision of a call that did not end in order: the client went away, or the upstream broke off.
func (a *answer) broken(clientGone bool) {
	if clientGone || a.how != undecided && a.status < 300 {
		if a.how == whole {
			a.events.wrote(textsOf(a.body.Bytes()))
		}
		a.settle(a.events.used())
		return
	}
	a.release()
}

// complete scans a whole answer and passes it on.
func (a *answer) complete() {
	body := a.body.Bytes()
	usage, told := usageIn(body)
	if !told {
		a.events.wrote(textsOf(body))
		usage = a.events.used()
	}
	out, ok, err := a.d.Output(body)
	a.settle(usage)
	if err != nil {
		a.o.Log(err)
		fail(a.w, http.StatusBadGateway, "gate_unavailable", "the answer could not be scanned")
		return
	}
	if !ok {
		refuse(a.w, a.d)
		return
	}
	a.w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	a.w.WriteHeader(a.status)
	_, _ = a.w.Write(out)
}

func (a *answer) settle(usage aicp.Usage) {
	if a.settled {
		return
	}
	a.settled = true
	if _, err := a.d.Settle(usage); err != nil {
		a.o.Log(err)
	}
}

func (a *answer) release() {
	if err := a.d.Release(); err != nil {
		a.o.Log(err)
	}
}
