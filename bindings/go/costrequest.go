package aicp

import "aicp.dev/go/internal/capi"

// CallKind is the kind of a call.
type CallKind int

// Kinds of calls.
const (
	CallChat       CallKind = capi.AICP_CALL_CHAT
	CallCompletion CallKind = capi.AICP_CALL_COMPLETION
	CallEmbedding  CallKind = capi.AICP_CALL_EMBEDDING
	CallResponses  CallKind = capi.AICP_CALL_RESPONSES
)

// Detail is the detail that is asked for an image.
type Detail int

// Details.
const (
	DetailAuto     Detail = capi.AICP_DETAIL_AUTO
	DetailLow      Detail = capi.AICP_DETAIL_LOW
	DetailHigh     Detail = capi.AICP_DETAIL_HIGH
	DetailOriginal Detail = capi.AICP_DETAIL_ORIGINAL
)

// CostRequest holds the countable parts of a request, read from a body or added one by one.
type CostRequest struct {
	h     *handle[capi.CostRequest]
	texts *kept
}

// kept are the texts that the library reads until the next reset, in memory of C.
type kept struct{ texts []string }

func (k *kept) add(text string) string {
	copied := capi.Keep(text)
	k.texts = append(k.texts, copied)
	return copied
}

func (k *kept) drop() {
	for _, text := range k.texts {
		capi.Drop(text)
	}
	k.texts = k.texts[:0]
}

// NewCostRequest makes an empty request.
func NewCostRequest() (*CostRequest, error) {
	var out *capi.CostRequest
	e := detail()
	if err := failed(capi.Aicp_cost_request_new(&out, e), e); err != nil {
		return nil, err
	}
	texts := new(kept)
	free := func(p *capi.CostRequest) {
		capi.Aicp_cost_request_free(p)
		texts.drop()
	}
	return &CostRequest{hold(out, "CostRequest", free), texts}, nil
}

// Close frees the request.
func (r *CostRequest) Close() error { r.h.close(); return nil }

func (r *CostRequest) with(call func(p *capi.CostRequest, e *capi.Error) int) error {
	p, err := r.h.lock()
	if err != nil {
		return err
	}
	defer r.h.unlock()
	e := detail()
	return failed(call(p, e), e)
}

func (r *CostRequest) reset(p *capi.CostRequest) {
	capi.Aicp_cost_request_reset(p)
	r.texts.drop()
}

// Reset empties the request.
func (r *CostRequest) Reset() error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int { r.reset(p); return capi.AICP_OK })
}

// Parse resets the request and reads a whole JSON body.
func (r *CostRequest) Parse(body []byte) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		r.reset(p)
		return capi.Aicp_cost_request_parse(p, r.texts.add(capi.View(body)), e)
	})
}

// Model is the model that was set or parsed.
func (r *CostRequest) Model() string {
	var model string
	_ = r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		var data *byte
		var n uint64
		capi.Aicp_cost_request_model(p, &data, &n)
		model = string(capi.Bytes(data, n))
		return capi.AICP_OK
	})
	return model
}

// SetModel sets the model whose rules count.
func (r *CostRequest) SetModel(name string) error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		capi.Aicp_cost_request_set_model(p, r.texts.add(name))
		return capi.AICP_OK
	})
}

// SetKind sets the kind of call.
func (r *CostRequest) SetKind(kind CallKind) error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		capi.Aicp_cost_request_set_kind(p, int(kind))
		return capi.AICP_OK
	})
}

// AddMessage begins a message; name may be empty.
func (r *CostRequest) AddMessage(role, name string) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		status := capi.Aicp_cost_request_add_message(p, r.texts.add(role), e)
		if status == capi.AICP_OK && name != "" {
			status = capi.Aicp_cost_request_add_name(p, r.texts.add(name), e)
		}
		return status
	})
}

// AddText adds text to the message, or a prompt of its own where there is none.
func (r *CostRequest) AddText(text string) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_add_text(p, r.texts.add(text), e)
	})
}

// AddTokens adds a prompt that is given as token ids.
func (r *CostRequest) AddTokens(count int64) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_add_tokens(p, count, e)
	})
}

// AddImage adds an image by its size in pixels, 0 = unknown.
func (r *CostRequest) AddImage(width, height int64, detail Detail) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_add_image(p, width, height, int(detail), e)
	})
}

// AddImageURL adds an image by its address. Nothing is fetched.
func (r *CostRequest) AddImageURL(url string, detail Detail) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_add_image_url(p, r.texts.add(url), int(detail), e)
	})
}

// AddTools adds the "tools" array as JSON.
func (r *CostRequest) AddTools(tools []byte) error {
	return r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_add_tools(p, r.texts.add(capi.View(tools)), e)
	})
}

// SetMaxTokens sets the cap of output tokens; below 0: none.
func (r *CostRequest) SetMaxTokens(max int64) error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		capi.Aicp_cost_request_set_max_tokens(p, max)
		return capi.AICP_OK
	})
}

// SetN sets how many answers are asked for.
func (r *CostRequest) SetN(n int64) error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		capi.Aicp_cost_request_set_n(p, n)
		return capi.AICP_OK
	})
}

// SetLongCache says that the request asks for cache entries that live an hour.
func (r *CostRequest) SetLongCache(on bool) error {
	return r.with(func(p *capi.CostRequest, _ *capi.Error) int {
		capi.Aicp_cost_request_set_long_cache(p, boolean(on))
		return capi.AICP_OK
	})
}

// Count counts the input tokens, by the rules of the request's model, or of profile where one is given.
func (r *CostRequest) Count(profile *TokenProfile) (TokenCount, error) {
	var p *capi.TokenProfile
	if profile != nil {
		p = profile.p
	}
	count := new(capi.TokenCount)
	err := r.with(func(request *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_request_count(request, p, count, e)
	})
	return readCount(count), err
}

// Estimate prices the request before the call.
func (r *CostRequest) Estimate(price *Price, o CostOptions) (Quote, error) {
	if _, err := price.table.enter(); err != nil {
		return Quote{}, err
	}
	defer price.table.leave()
	quote := new(capi.CostQuote)
	err := r.with(func(p *capi.CostRequest, e *capi.Error) int {
		return capi.Aicp_cost_estimate(p, price.p, o.asC(), quote, e)
	})
	return readQuote(quote), err
}
