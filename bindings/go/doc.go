// Package aicp decides, in microseconds and inside your process, whether an AI request may run, what it will
// cost and what must be changed in it. It is libaicp for Go.
//
//	gate, err := aicp.OpenGate(aicp.GateOptions{Bundle: "/etc/aicp/bundle", Store: "sqlite:///var/lib/aicp/ledger.db"})
//	...
//	decision, err := gate.Check(ctx, &aicp.Request{Body: body, Key: keyHash, Team: "blue"})
//	if err != nil { // the gate cannot decide: fail closed, or open
//	}
//	defer decision.Close() // gives back what was not settled
//	if !decision.Allowed() {
//		return decision.HTTPStatus(), decision.Message()
//	}
//	answer := send(decision.Body())              // masked, and with a smaller max_tokens when money is short
//	answer, ok, err := decision.Output(answer)   // scanned; what was anonymised is put back
//	nano, err := decision.Settle(usage)          // what it really cost
//
// Package aicphttp does this for a reverse proxy.
//
// # Objects
//
// Everything that holds memory of the library has Close. What is not closed is freed by the garbage collector some
// time later; a Gate and a Ledger should be closed, because closing sends what the store does not know yet. After
// Close every call answers ErrState. A call under way, and what was made of an object (a Decision of a Gate), keeps
// it alive until it ends.
//
// # Goroutines
//
// Gate, Limiter, Ledger and LiteLLM are made for use by many goroutines. Sets, entities, rules, profiles, tables,
// lists and tokenizers never change. A Decision, Stream, PolicyRequest, CostRequest, GuardSession or GuardStream
// belongs to one goroutine at a time; a second one waits for the first and does no harm.
//
// # Errors
//
// Every failure is an *Error with a Code, a sentence, and for texts line, column and offset. The codes are errors
// themselves: errors.Is(err, aicp.ErrWouldBlock). A refusal by policy, limit, guardrail or budget is no error but an
// answer.
//
// # Waiting
//
// Calls that may wait take a context. They are tried without waiting first, and wait until the context's deadline, or
// as long as the options say where it has none. When the context ends earlier the call returns at once; what the
// library still does then is undone when it is done.
//
// Money is int64 nano-dollars (1e-9 USD).
package aicp
