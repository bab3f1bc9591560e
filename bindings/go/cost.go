package aicp

import (
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// Special is what the text of a special token such as <|endoftext|> means.
type Special int

// Meanings of special tokens.
const (
	SpecialOrdinary Special = capi.AICP_SPECIAL_ORDINARY // plain text; right for what users write
	SpecialAllow    Special = capi.AICP_SPECIAL_ALLOW    // it becomes its id
	SpecialStrict   Special = capi.AICP_SPECIAL_STRICT   // it is an error
)

// Tokenizer is a byte-pair encoding. It never changes.
type Tokenizer struct{ h *handle[capi.Tokenizer] }

// OpenTokenizer opens a built-in encoding: "o200k_base", "o200k_harmony" or "cl100k_base".
func OpenTokenizer(name string) (*Tokenizer, error) {
	var out *capi.Tokenizer
	e := detail()
	if err := failed(capi.Aicp_tokenizer_open(name, &out, e), e); err != nil {
		return nil, err
	}
	return &Tokenizer{hold(out, "Tokenizer", capi.Aicp_tokenizer_free)}, nil
}

// Close frees the tokenizer.
func (t *Tokenizer) Close() error { t.h.close(); return nil }

// Name is the name of the encoding.
func (t *Tokenizer) Name() string {
	p, err := t.h.enter()
	if err != nil {
		return ""
	}
	defer t.h.leave()
	return capi.Text(capi.Aicp_tokenizer_name(p))
}

// VocabSize is one more than the highest id.
func (t *Tokenizer) VocabSize() int {
	p, err := t.h.enter()
	if err != nil {
		return 0
	}
	defer t.h.leave()
	return int(capi.Aicp_tokenizer_vocab_size(p))
}

// Count counts the tokens of a text.
func (t *Tokenizer) Count(text string, special Special) (int64, error) {
	p, err := t.h.enter()
	if err != nil {
		return 0, err
	}
	defer t.h.leave()
	var n int64
	e := detail()
	err = failed(capi.Aicp_tokenizer_count(p, text, int(special), &n, e), e)
	return n, err
}

// CountBytes is Count for bytes, without a copy.
func (t *Tokenizer) CountBytes(text []byte, special Special) (int64, error) {
	return t.Count(capi.View(text), special)
}

// Encode gives the ids of a text.
func (t *Tokenizer) Encode(text string, special Special) ([]uint32, error) {
	p, err := t.h.enter()
	if err != nil {
		return nil, err
	}
	defer t.h.leave()
	ids := make([]uint32, len(text)/3+8)
	for {
		room := (*capi.TokenIDs)(nil)
		m := capi.Room(int(unsafe.Sizeof(*room)) + 4*len(ids) + 16)
		room = (*capi.TokenIDs)(m.Raw(int(unsafe.Sizeof(*room))))
		to := unsafe.Slice((*uint32)(m.Raw(4*len(ids))), len(ids))
		*room = capi.TokenIDs{Ids: &to[0], Capacity: uint64(len(ids))}
		e := detail()
		status := capi.Aicp_tokenizer_encode_into(p, text, int(special), room, e)
		err := failed(status, e)
		need := int(room.Count)
		if err == nil {
			ids = append(ids[:0], to[:need]...)
		}
		m.Free()
		if status != capi.AICP_ERR_LIMIT || need <= len(ids) {
			if err != nil {
				return nil, err
			}
			return ids, nil
		}
		ids = make([]uint32, need)
	}
}

// Decode joins the bytes of ids.
func (t *Tokenizer) Decode(ids []uint32) ([]byte, error) {
	p, err := t.h.enter()
	if err != nil {
		return nil, err
	}
	defer t.h.leave()
	buf := new(capi.Buf)
	e := detail()
	err = failed(capi.Aicp_tokenizer_decode(p, ids, buf, e), e)
	return buf.Take(), err
}

// Truncate gives the longest beginning of a text that fits into max tokens, and its count.
func (t *Tokenizer) Truncate(text string, max int64) (string, int64, error) {
	p, err := t.h.enter()
	if err != nil {
		return "", 0, err
	}
	defer t.h.leave()
	var n uint64
	var tokens int64
	e := detail()
	if err := failed(capi.Aicp_tokenizer_truncate(p, text, max, &n, &tokens, e), e); err != nil {
		return "", 0, err
	}
	return text[:n], tokens, nil
}

// CountQuality tells how good a count is.
type CountQuality int

// Qualities.
const (
	CountExact     CountQuality = capi.AICP_COUNT_EXACT
	CountNear      CountQuality = capi.AICP_COUNT_NEAR
	CountEstimated CountQuality = capi.AICP_COUNT_ESTIMATED
)

func (q CountQuality) String() string { return capi.Text(capi.Aicp_count_quality_name(int(q))) }

// TokenProfile tells how the requests of a model are counted.
type TokenProfile struct {
	Family   string
	Encoding string
	Quality  CountQuality // the best that a count can have

	p *capi.TokenProfile // static
}

// FindTokenProfile finds the profile of a model; a name that nobody knows gets an estimate with a wide range.
func FindTokenProfile(model string) TokenProfile {
	p := capi.Aicp_token_profile_find(model)
	return TokenProfile{
		Family:   capi.Text(capi.Aicp_token_profile_family(p)),
		Encoding: capi.Text(capi.Aicp_token_profile_encoding(p)),
		Quality:  CountQuality(capi.Aicp_token_profile_quality(p)),
		p:        p,
	}
}

// TokenCount is a count of input tokens with its range and its parts.
type TokenCount struct {
	Low, Tokens, High             int64
	Text, Overhead, Tools, Images int64
	Quality                       CountQuality
	FactorPermille                int
}

func readCount(c *capi.TokenCount) TokenCount {
	return TokenCount{
		Low: c.Low, Tokens: c.Tokens, High: c.High, Text: c.Text, Overhead: c.Overhead, Tools: c.Tools,
		Images: c.Images, Quality: CountQuality(c.Quality), FactorPermille: int(c.Factor_permille),
	}
}

// Tier is the service tier of a request.
type Tier int32

// Tiers.
const (
	TierStandard  Tier = capi.AICP_TIER_STANDARD
	TierPriority  Tier = capi.AICP_TIER_PRIORITY
	TierFlex      Tier = capi.AICP_TIER_FLEX
	TierBatch     Tier = capi.AICP_TIER_BATCH
	TierBalanced  Tier = capi.AICP_TIER_BALANCED
	TierUltrafast Tier = capi.AICP_TIER_ULTRAFAST
)

// Uplift is a regional surcharge.
type Uplift int32

// Uplifts.
const (
	UpliftNone     Uplift = capi.AICP_UPLIFT_NONE
	UpliftEU       Uplift = capi.AICP_UPLIFT_EU
	UpliftUS       Uplift = capi.AICP_UPLIFT_US
	UpliftEndpoint Uplift = capi.AICP_UPLIFT_ENDPOINT
	UpliftFast     Uplift = capi.AICP_UPLIFT_FAST
	UpliftGeoUS    Uplift = capi.AICP_UPLIFT_GEO_US
)

// CostOptions is what applies to a price beside the usage. Zero means default.
type CostOptions struct {
	Tier      Tier
	Uplift    Uplift
	Time      time.Time // of the request, for off-peak prices
	OutputP50 int64     // expected output tokens of one answer, learned by the caller
	OutputP95 int64
}

func (o *CostOptions) asC() *capi.CostOptions {
	c := new(capi.CostOptions)
	capi.Aicp_cost_options_init(c, int64(unsafe.Sizeof(*c)))
	c.Tier, c.Uplift = int32(o.Tier), int32(o.Uplift)
	if !o.Time.IsZero() {
		c.Wall_ns = o.Time.UnixNano()
	}
	c.Output_p50, c.Output_p95 = o.OutputP50, o.OutputP95
	return c
}

// Quote is what a request may cost. Max is what to reserve.
type Quote struct {
	Input        TokenCount
	OutputCap    int64
	OutputP50    int64
	OutputP95    int64
	Answers      int64
	CostInput    int64
	CostExpected int64
	CostP95      int64
	CostMax      int64
	FromHistory  bool
}

func readQuote(q *capi.CostQuote) Quote {
	return Quote{
		Input: readCount(&q.Input), OutputCap: q.Output_cap, OutputP50: q.Output_p50, OutputP95: q.Output_p95,
		Answers: q.Answers, CostInput: q.Cost_input_nano, CostExpected: q.Cost_expected_nano,
		CostP95: q.Cost_p95_nano, CostMax: q.Cost_max_nano, FromHistory: q.Expected_from_history != 0,
	}
}

// Usage is what a provider says was used. PromptTokens includes those of the cache, CompletionTokens the reasoning.
type Usage struct {
	PromptTokens, CompletionTokens                              int64
	CacheReadTokens, CacheWriteTokens, CacheWrite1hTokens       int64
	PromptAudioTokens, PromptImageTokens, PromptVideoTokens     int64
	ReasoningTokens, CompletionAudioTokens                      int64
	CompletionImageTokens, PromptCharacters                     int64
	CompletionCharacters, InputMilliseconds, OutputMilliseconds int64
	Queries, Pages, InputImages, OutputImages, OutputPixels     int64
}

func (u *Usage) asC() *capi.Usage {
	c := new(capi.Usage)
	capi.Aicp_usage_init(c, int64(unsafe.Sizeof(*c)))
	if u == nil {
		return c
	}
	c.Prompt_tokens, c.Completion_tokens = u.PromptTokens, u.CompletionTokens
	c.Cache_read_tokens, c.Cache_write_tokens = u.CacheReadTokens, u.CacheWriteTokens
	c.Cache_write_1h_tokens = u.CacheWrite1hTokens
	c.Prompt_audio_tokens, c.Prompt_image_tokens = u.PromptAudioTokens, u.PromptImageTokens
	c.Prompt_video_tokens, c.Reasoning_tokens = u.PromptVideoTokens, u.ReasoningTokens
	c.Completion_audio_tokens, c.Completion_image_tokens = u.CompletionAudioTokens, u.CompletionImageTokens
	c.Prompt_characters, c.Completion_characters = u.PromptCharacters, u.CompletionCharacters
	c.Input_milliseconds, c.Output_milliseconds = u.InputMilliseconds, u.OutputMilliseconds
	c.Queries, c.Pages, c.Input_images = u.Queries, u.Pages, u.InputImages
	c.Output_images, c.Output_pixels = u.OutputImages, u.OutputPixels
	return c
}

// ParseUsage reads a "usage" object of chat completions, responses or Anthropic's messages.
func ParseUsage(object []byte) (Usage, error) {
	c := (*Usage)(nil).asC()
	e := detail()
	if err := failed(capi.Aicp_usage_parse(capi.View(object), c, e), e); err != nil {
		return Usage{}, err
	}
	return Usage{
		PromptTokens: c.Prompt_tokens, CompletionTokens: c.Completion_tokens,
		CacheReadTokens: c.Cache_read_tokens, CacheWriteTokens: c.Cache_write_tokens,
		CacheWrite1hTokens: c.Cache_write_1h_tokens,
		PromptAudioTokens:  c.Prompt_audio_tokens, PromptImageTokens: c.Prompt_image_tokens,
		PromptVideoTokens: c.Prompt_video_tokens, ReasoningTokens: c.Reasoning_tokens,
		CompletionAudioTokens: c.Completion_audio_tokens, CompletionImageTokens: c.Completion_image_tokens,
		PromptCharacters: c.Prompt_characters, CompletionCharacters: c.Completion_characters,
		InputMilliseconds: c.Input_milliseconds, OutputMilliseconds: c.Output_milliseconds,
		Queries: c.Queries, Pages: c.Pages, InputImages: c.Input_images,
		OutputImages: c.Output_images, OutputPixels: c.Output_pixels,
	}, nil
}

// CostPart is one row of a charge. PriceFemto is the price of one unit in 1e-15 USD.
type CostPart struct {
	Name       string
	Nano       int64
	Quantity   int64
	PriceFemto int64
}

// Cost is a charge in rows that add up to the total.
type Cost struct {
	Total int64
	Parts []CostPart // those that are not empty
}

func readCost(c *capi.Cost) Cost {
	cost := Cost{Total: c.Total_nano}
	for i := 0; i < capi.AICP_PART_COUNT; i++ {
		if c.Quantity[i] != 0 || c.Part_nano[i] != 0 {
			name := capi.Text(capi.Aicp_cost_part_name(i))
			cost.Parts = append(cost.Parts, CostPart{name, c.Part_nano[i], c.Quantity[i], c.Price_femto[i]})
		}
	}
	return cost
}

// ModelList knows models by name, with aliases and fallbacks. It never changes.
type ModelList struct{ h *handle[capi.ModelList] }

// ParseModels reads a model list.
func ParseModels(text []byte) (*ModelList, error) {
	var out *capi.ModelList
	e := detail()
	if err := failed(capi.Aicp_model_list_parse(capi.View(text), &out, e), e); err != nil {
		return nil, err
	}
	return &ModelList{hold(out, "ModelList", capi.Aicp_model_list_free)}, nil
}

// Close frees the list.
func (l *ModelList) Close() error { l.h.close(); return nil }

// Len is the number of models.
func (l *ModelList) Len() int {
	p, err := l.h.enter()
	if err != nil {
		return 0
	}
	defer l.h.leave()
	return int(capi.Aicp_model_list_count(p))
}

// Model is one model of a list.
type Model struct {
	Name         string
	Provider     string
	LiteLLMModel string
	PriceKey     string
	Fallbacks    []string
}

// At is the model with that index.
func (l *ModelList) At(index int) (Model, error) {
	p, err := l.h.enter()
	if err != nil {
		return Model{}, err
	}
	defer l.h.leave()
	i := int64(index)
	if i < 0 || i >= capi.Aicp_model_list_count(p) {
		return Model{}, &Error{Code: ErrNotFound, Message: "the list has no such model"}
	}
	return Model{
		Name:         capi.Text(capi.Aicp_model_list_name(p, i)),
		Provider:     capi.Text(capi.Aicp_model_list_provider(p, i)),
		LiteLLMModel: capi.Text(capi.Aicp_model_list_litellm_model(p, i)),
		PriceKey:     capi.Text(capi.Aicp_model_list_price_key(p, i)),
		Fallbacks:    untilNil(func(n int64) *byte { return capi.Aicp_model_list_fallback(p, i, n) }),
	}, nil
}

// Find is the model with that name.
func (l *ModelList) Find(name string) (Model, error) {
	p, err := l.h.enter()
	if err != nil {
		return Model{}, err
	}
	defer l.h.leave()
	var index uint64
	e := detail()
	if err := failed(capi.Aicp_model_list_find(p, name, &index, e), e); err != nil {
		return Model{}, err
	}
	return l.At(int(index))
}

// Alias are the models of a group such as "smart"; none when there is no such group.
func (l *ModelList) Alias(name string) []string {
	p, err := l.h.enter()
	if err != nil {
		return nil
	}
	defer l.h.leave()
	return untilNil(func(n int64) *byte { return capi.Aicp_model_list_alias_member(p, name, n) })
}

func untilNil(get func(n int64) *byte) []string {
	var texts []string
	for n := int64(0); ; n++ {
		p := get(n)
		if p == nil {
			return texts
		}
		texts = append(texts, capi.Text(p))
	}
}

// PriceOptions says how a price table is made. Zero means default.
type PriceOptions struct {
	Base      *PriceTable // asked for what this table lacks
	Models    *ModelList  // names of the configuration
	ValidFrom time.Time
	Version   string // default: a hash of the data
}

// PriceTable knows the prices of models. It never changes.
type PriceTable struct{ h *handle[capi.PriceTable] }

// ParsePrices reads a price map in LiteLLM's form.
func ParsePrices(text []byte, o PriceOptions) (*PriceTable, error) {
	if err := noNUL("version", o.Version); err != nil {
		return nil, err
	}
	m := capi.Room(len(o.Version) + 16)
	defer m.Free()
	var c capi.PriceTableOptions
	capi.Aicp_price_table_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.Base != nil {
		p, err := o.Base.h.enter()
		if err != nil {
			return nil, err
		}
		defer o.Base.h.leave()
		c.Base = (*[0]byte)(unsafe.Pointer(p))
	}
	if o.Models != nil {
		p, err := o.Models.h.enter()
		if err != nil {
			return nil, err
		}
		defer o.Models.h.leave()
		c.Models = (*[0]byte)(unsafe.Pointer(p))
	}
	if !o.ValidFrom.IsZero() {
		c.Valid_from_ns = o.ValidFrom.UnixNano()
	}
	if o.Version != "" {
		c.Version = m.Put(o.Version)
	}
	var out *capi.PriceTable
	e := detail()
	if err := failed(capi.Aicp_price_table_parse(capi.View(text), &c, &out, e), e); err != nil {
		return nil, err
	}
	return &PriceTable{hold(out, "PriceTable", capi.Aicp_price_table_free)}, nil
}

// Close frees the table when its prices are no longer used.
func (t *PriceTable) Close() error { t.h.close(); return nil }

// Len is the number of models, without those of the base.
func (t *PriceTable) Len() int {
	p, err := t.h.enter()
	if err != nil {
		return 0
	}
	defer t.h.leave()
	return int(capi.Aicp_price_table_count(p))
}

// Rounded counts the prices that have more decimals than can be kept.
func (t *PriceTable) Rounded() int {
	p, err := t.h.enter()
	if err != nil {
		return 0
	}
	defer t.h.leave()
	return int(capi.Aicp_price_table_rounded(p))
}

// Version is the version given, or a hash of the data.
func (t *PriceTable) Version() string {
	p, err := t.h.enter()
	if err != nil {
		return ""
	}
	defer t.h.leave()
	return capi.Text(capi.Aicp_price_table_version(p))
}

// At is the price with that index in the order of the map.
func (t *PriceTable) At(index int) (*Price, error) {
	p, err := t.h.enter()
	if err != nil {
		return nil, err
	}
	defer t.h.leave()
	price := (*capi.Price)(nil)
	if index >= 0 {
		price = capi.Aicp_price_table_at(p, int64(index))
	}
	if price == nil {
		return nil, &Error{Code: ErrNotFound, Message: "the table has no such price"}
	}
	return newPrice(t, price)
}

// Find is the price of a model.
func (t *PriceTable) Find(model string) (*Price, error) {
	p, err := t.h.enter()
	if err != nil {
		return nil, err
	}
	defer t.h.leave()
	var price *capi.Price
	e := detail()
	if err := failed(capi.Aicp_price_table_find(p, model, &price, e), e); err != nil {
		return nil, err
	}
	return newPrice(t, price)
}

// Estimate counts and prices the JSON body of a request.
func (t *PriceTable) Estimate(body []byte, o CostOptions) (Quote, error) {
	p, err := t.h.enter()
	if err != nil {
		return Quote{}, err
	}
	defer t.h.leave()
	quote := new(capi.CostQuote)
	e := detail()
	err = failed(capi.Aicp_cost_estimate_body(p, capi.View(body), o.asC(), quote, e), e)
	return readQuote(quote), err
}

// Price is the price of one model. It keeps its table alive.
type Price struct {
	Key             string // of the price map
	Provider        string
	Mode            string
	Version         string
	ValidFrom       time.Time // zero: always
	MaxInputTokens  int64     // -1: not known
	MaxOutputTokens int64     // -1: not known
	DeprecationDate string
	Known           bool // at least one price is known
	table           *handle[capi.PriceTable]
	p               *capi.Price
	_               struct{}
}

func newPrice(t *PriceTable, p *capi.Price) (*Price, error) {
	// A reference of its own, so that the price outlives Close of the table.
	own := hold(capi.Aicp_price_table_ref(t.h.p), "Price", capi.Aicp_price_table_free)
	price := &Price{
		Key:             capi.Text(capi.Aicp_price_key(p)),
		Provider:        capi.Text(capi.Aicp_price_provider(p)),
		Mode:            capi.Text(capi.Aicp_price_mode(p)),
		Version:         capi.Text(capi.Aicp_price_version(p)),
		MaxInputTokens:  capi.Aicp_price_max_input_tokens(p),
		MaxOutputTokens: capi.Aicp_price_max_output_tokens(p),
		DeprecationDate: capi.Text(capi.Aicp_price_deprecation_date(p)),
		Known:           capi.Aicp_price_known(p) != 0,
		table:           own,
		p:               p,
	}
	if ns := capi.Aicp_price_valid_from_ns(p); ns != 0 {
		price.ValidFrom = time.Unix(0, ns)
	}
	return price, nil
}

// Close gives the table back now instead of with the last reference.
func (p *Price) Close() error { p.table.close(); return nil }

// Femto is one price by its key in the map ("input_cost_per_token") in 1e-15 USD.
func (p *Price) Femto(key string) (int64, error) {
	if _, err := p.table.enter(); err != nil {
		return 0, err
	}
	defer p.table.leave()
	var femto int64
	e := detail()
	err := failed(capi.Aicp_price_get(p.p, key, &femto, e), e)
	return femto, err
}

// Cost is the charge for a usage.
func (p *Price) Cost(u Usage, o CostOptions) (Cost, error) {
	if _, err := p.table.enter(); err != nil {
		return Cost{}, err
	}
	defer p.table.leave()
	cost := new(capi.Cost)
	e := detail()
	if err := failed(capi.Aicp_cost_of_usage(p.p, u.asC(), o.asC(), cost, e), e); err != nil {
		return Cost{}, err
	}
	return readCost(cost), nil
}
