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

// LiteLLM is a client of a LiteLLM proxy. Many goroutines may use it.
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
	CostNano int64 // -1: the proxy did not tell

	h *handle[capi.LiteLLMReply]
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

// Health asks whether the proxy is ready.
func (c *LiteLLM) Health(ctx context.Context) (*Reply, error) {
	return c.ask(ctx, capi.Aicp_litellm_health)
}

// Models asks for the names that the key may use.
func (c *LiteLLM) Models(ctx context.Context) (*Reply, error) {
	return c.ask(ctx, capi.Aicp_litellm_models)
}

// ModelInfo asks for every deployment with prices and limits.
func (c *LiteLLM) ModelInfo(ctx context.Context) (*Reply, error) {
	return c.ask(ctx, capi.Aicp_litellm_model_info)
}

// KeyGenerate makes a key; the answer's "key" is shown this once.
func (c *LiteLLM) KeyGenerate(ctx context.Context, body []byte) (*Reply, error) {
	return c.send(ctx, body, capi.Aicp_litellm_key_generate)
}

// KeyInfo tells what is known of a key or the hash of one.
func (c *LiteLLM) KeyInfo(ctx context.Context, key string) (*Reply, error) {
	return c.send(ctx, []byte(key), capi.Aicp_litellm_key_info)
}

// KeyList asks for all keys, as one array.
func (c *LiteLLM) KeyList(ctx context.Context) (*Reply, error) {
	return c.ask(ctx, capi.Aicp_litellm_key_list)
}

// KeyUpdate changes the "key" that the body names.
func (c *LiteLLM) KeyUpdate(ctx context.Context, body []byte) (*Reply, error) {
	return c.send(ctx, body, capi.Aicp_litellm_key_update)
}

// KeyDelete deletes a key, or the one of a hash.
func (c *LiteLLM) KeyDelete(ctx context.Context, key string) (*Reply, error) {
	return c.send(ctx, []byte(key), capi.Aicp_litellm_key_delete)
}

// TeamNew makes a team.
func (c *LiteLLM) TeamNew(ctx context.Context, body []byte) (*Reply, error) {
	return c.send(ctx, body, capi.Aicp_litellm_team_new)
}

// TeamInfo tells what is known of a team.
func (c *LiteLLM) TeamInfo(ctx context.Context, id string) (*Reply, error) {
	return c.send(ctx, []byte(id), capi.Aicp_litellm_team_info)
}

// TeamList asks for all teams, as one array.
func (c *LiteLLM) TeamList(ctx context.Context) (*Reply, error) {
	return c.ask(ctx, capi.Aicp_litellm_team_list)
}

// TeamUpdate changes the "team_id" that the body names.
func (c *LiteLLM) TeamUpdate(ctx context.Context, body []byte) (*Reply, error) {
	return c.send(ctx, body, capi.Aicp_litellm_team_update)
}

// TeamDelete deletes a team.
func (c *LiteLLM) TeamDelete(ctx context.Context, id string) (*Reply, error) {
	return c.send(ctx, []byte(id), capi.Aicp_litellm_team_delete)
}

// Chat asks a model and waits for the whole answer. It is sent once.
func (c *LiteLLM) Chat(ctx context.Context, body []byte) (*Reply, error) {
	return c.send(ctx, body, capi.Aicp_litellm_chat)
}

// ChatStream asks a model with "stream": true in the body, and gives the JSON of each event to fn. An error of fn ends
// the stream and comes out of the call; so does the end of the context, at the next event.
func (c *LiteLLM) ChatStream(ctx context.Context, body []byte, fn func(event []byte) error) (*Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	text := string(body)
	return c.run(func(p *capi.LiteLLM, reply *capi.LiteLLMReply, e *capi.Error) (int, error) {
		return capi.Stream(p, text, func(event []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(event)
		}, reply, e)
	})
}
