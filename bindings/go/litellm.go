package aicp

import (
	"context"
	"errors"
	"strings"
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// LiteLLMOptions says how a client works. Zero means default.
type LiteLLMOptions struct {
	Timeout        time.Duration // whole call with retries
	ChatTimeout    time.Duration // whole chat call, streamed or not
	ConnectTimeout time.Duration
	MaxResponse    uint64
	MaxIdle        uint32
}

// LiteLLM is a client of a LiteLLM proxy. Many goroutines may use it. When the context of a call ends first, the call
// runs on for its own timeout and its answer is dropped.
//
// The calls of the proxy's routes take its own JSON: a body, or filters, a flat object that becomes the query (nil for
// none). litellm.h says more about lists in pages and about what LiteLLM answers.
type LiteLLM struct{ h *handle[capi.LiteLLM] }

// OpenLiteLLM makes a client; it sends nothing yet.
func OpenLiteLLM(url, key string, o LiteLLMOptions) (*LiteLLM, error) {
	var c capi.LiteLLMOptions
	capi.Aicp_litellm_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Timeout_ms = uint64(o.Timeout / time.Millisecond)
	c.Chat_timeout_ms = uint64(o.ChatTimeout / time.Millisecond)
	c.Connect_timeout_ms = uint64(o.ConnectTimeout / time.Millisecond)
	c.Max_response, c.Max_idle = o.MaxResponse, o.MaxIdle
	var out *capi.LiteLLM
	e := detail()
	if err := failed(capi.Aicp_litellm_open(url, key, &c, &out, e), e); err != nil {
		return nil, err
	}
	return &LiteLLM{hold(out, "LiteLLM", capi.Aicp_litellm_free)}, nil
}

// Close closes the client and wipes its key, as soon as no call uses it.
func (c *LiteLLM) Close() error { c.h.close(); return nil }

// Reply is an answer of the proxy as it came.
type Reply struct {
	Status   int // 0: there was no answer
	Body     []byte
	CostNano int64       // -1: the proxy did not tell
	Usage    *ReplyUsage // nil: the proxy did not tell

	h *handle[capi.LiteLLMReply]
}

// ReplyUsage is what a call of a model used, in tokens as the endpoint counts them; -1: not told.
type ReplyUsage struct {
	Input, Output, Total, Cached int64

	CostNano int64 // told in streams
}

func readReplyUsage(p *capi.LiteLLMReply) *ReplyUsage {
	c := new(capi.LiteLLMUsage)
	c.Size = uint64(unsafe.Sizeof(*c))
	e := detail()
	if failed(capi.Aicp_litellm_reply_usage(p, c, e), e) != nil {
		return nil
	}
	return &ReplyUsage{
		Input: c.Input_tokens, Output: c.Output_tokens, Total: c.Total_tokens, Cached: c.Cached_tokens,
		CostNano: c.Cost_nano,
	}
}

// Header is the value of a response header, "" when it is absent.
func (r *Reply) Header(name string) string {
	p, err := r.h.lock()
	if err != nil || noNUL("name", name) != nil {
		return ""
	}
	defer r.h.unlock()
	return capi.Text(capi.Aicp_litellm_reply_header(p, strings.ToLower(name)))
}

// LiteLLMError is an error of the proxy, in whichever of LiteLLM's shapes it came.
type LiteLLMError struct {
	Status  int
	Relay   int // status for the caller of a service that passes the call on
	Message string
	Type    string // "budget_exceeded", …
	Param   string
	Detail  string // LiteLLM's code as text

	err error
}

func (e *LiteLLMError) Error() string {
	if e.Message != "" {
		return "aicp: " + e.Message
	}
	return e.err.Error()
}

// Unwrap is the library's error, with its code.
func (e *LiteLLMError) Unwrap() error { return e.err }

type litellmCall func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) int

// ask runs a call. When the context ends first, the call runs on for its own timeout and its answer is dropped.
func (c *LiteLLM) ask(ctx context.Context, call litellmCall) (*Reply, error) {
	return await(ctx, func() (*Reply, error) {
		return c.run(func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) (int, error) {
			return call(p, reply, e), nil
		})
	}, nil)
}

func (c *LiteLLM) run(call func(*capi.LiteLLM, *capi.LiteLLMReply, *capi.Error) (int, error)) (*Reply, error) {
	p, err := c.h.enter()
	if err != nil {
		return nil, err
	}
	defer c.h.leave()
	var out *capi.LiteLLMReply
	e := detail()
	if err := failed(capi.Aicp_litellm_reply_new(&out, e), e); err != nil {
		return nil, err
	}
	reply := &Reply{h: hold(out, "Reply", capi.Aicp_litellm_reply_free)}
	e = detail()
	status, cause := call(p, out, e)
	err = failed(status, e)
	reply.Status = capi.Aicp_litellm_reply_status(out)
	if err != nil {
		var own *Error
		if errors.As(err, &own) {
			own.cause = cause
		}
		told := &LiteLLMError{
			Status:  reply.Status,
			Relay:   capi.Aicp_litellm_reply_relay(out, status),
			Message: capi.Text(capi.Aicp_litellm_reply_message(out)),
			Type:    capi.Text(capi.Aicp_litellm_reply_type(out)),
			Param:   capi.Text(capi.Aicp_litellm_reply_param(out)),
			Detail:  capi.Text(capi.Aicp_litellm_reply_code(out)),
			err:     err,
		}
		reply.h.close()
		return nil, told
	}
	var n uint64
	reply.Body = capi.Bytes(capi.Aicp_litellm_reply_body(out, &n), n)
	var nano int64 // C must not get a pointer into a structure of Go that holds pointers
	e = detail()
	if failed(capi.Aicp_litellm_reply_cost(out, &nano, e), e) != nil {
		nano = -1
	}
	reply.CostNano = nano
	reply.Usage = readReplyUsage(out)
	return reply, nil
}

// send copies the text that a call reads, since the caller may change its own when the context ends the waiting.
func (c *LiteLLM) send(
	ctx context.Context, data []byte, call func(*capi.LiteLLM, string, *capi.LiteLLMReply, *capi.Error) int,
) (*Reply, error) {
	text := string(data)
	return c.ask(ctx, func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) int {
		return call(p, text, reply, e)
	})
}

// sendTo is send for a route with an id in it.
func (c *LiteLLM) sendTo(
	ctx context.Context, id string, data []byte,
	call func(*capi.LiteLLM, string, string, *capi.LiteLLMReply, *capi.Error) int,
) (*Reply, error) {
	return c.send(ctx, data, func(p *capi.LiteLLM, text string, reply *capi.LiteLLMReply, e *capi.Error) int {
		return call(p, id, text, reply, e)
	})
}

// Call is any call: a path with its query; body nil = none. Only GET is repeated after a broken connection.
func (c *LiteLLM) Call(ctx context.Context, method, path string, body []byte) (*Reply, error) {
	if err := noNUL("method or path", method, path); err != nil {
		return nil, err
	}
	if body == nil {
		return c.ask(ctx, func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) int {
			return capi.Aicp_litellm_call_bare(p, method, path, reply, e)
		})
	}
	return c.send(ctx, body, func(p *capi.LiteLLM, text string, reply *capi.LiteLLMReply, e *capi.Error) int {
		return capi.Aicp_litellm_call(p, method, path, text, reply, e)
	})
}

// ChatStream is Stream of /v1/chat/completions.
func (c *LiteLLM) ChatStream(ctx context.Context, body []byte, fn func(event []byte) error) (*Reply, error) {
	return c.Stream(ctx, "/v1/chat/completions", body, fn)
}

// ResponseStream is Stream of /v1/responses.
func (c *LiteLLM) ResponseStream(ctx context.Context, body []byte, fn func(event []byte) error) (*Reply, error) {
	return c.Stream(ctx, "/v1/responses", body, fn)
}

// Stream posts a body with "stream": true in it, and gives the JSON of each event of the answer to fn. An error of fn
// ends the stream and comes out of the call; so does the end of the context, at the next event.
func (c *LiteLLM) Stream(
	ctx context.Context, path string, body []byte, fn func(event []byte) error,
) (*Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	if err := noNUL("path", path); err != nil {
		return nil, err
	}
	text := string(body)
	return c.run(func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) (int, error) {
		return capi.Stream(p, path, text, func(event []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(event)
		}, reply, e)
	})
}
