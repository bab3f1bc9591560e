package aicphttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	aicp "aicp.dev/go"
)

// object is a JSON object as read; numbers stay as they were written.
type object = map[string]any

// events scans and restores a stream of server-sent events: chunks of chat and text completions, events of responses,
// and Anthropic's. A scanner may hold text back; what it held comes out with a later event, at the latest before the
// one that ends its text.
type events struct {
	d         *aicp.Decision
	showUsage bool // the client asked for the chunk that tells the usage
	held      []byte
	scanners  map[string]*scanner
	order     []string // keys of the scanners, oldest first
	usage     aicp.Usage
	told      bool
	raw       strings.Builder // what the model wrote, for counting where it tells no usage
}

// scanner scans one text of the stream.
type scanner struct {
	stream *aicp.Stream
	choice string                    // that it belongs to, of chunks
	put    func(at object, t string) // adds text to a choice, of chunks
	rest   func(t string) []byte     // an event of its own for what is left
}

// errRefused says that the answer must not go on; the decision tells why.
var errRefused = errors.New("refused")

const longestEvent = 16 << 20

func newEvents(d *aicp.Decision, showUsage bool) *events {
	return &events{d: d, showUsage: showUsage, scanners: map[string]*scanner{}}
}

func (e *events) close() {
	for _, s := range e.scanners {
		_ = s.stream.Close()
	}
}

func (e *events) wrote(text string) { e.raw.WriteString(text) }

// used is the usage that was told, or counted where none was.
func (e *events) used() aicp.Usage {
	if e.told {
		return e.usage
	}
	usage := aicp.Usage{PromptTokens: e.d.InputTokens()}
	tokenizer, err := aicp.OpenTokenizer(aicp.FindTokenProfile(e.d.Model()).Encoding)
	if err != nil {
		return usage
	}
	defer tokenizer.Close()
	usage.CompletionTokens, _ = tokenizer.Count(e.raw.String(), aicp.SpecialOrdinary)
	return usage
}

// feed takes bytes of the stream and gives those to pass on. False: nothing may go on after them.
func (e *events) feed(p []byte) ([]byte, bool, error) {
	e.held = append(e.held, p...)
	var out bytes.Buffer
	for {
		frame, rest, found := cutFrame(e.held)
		if !found {
			break
		}
		e.held = rest
		if err := e.frame(&out, frame); err != nil {
			return refused(&out, err)
		}
	}
	if len(e.held) > longestEvent {
		return out.Bytes(), false, errors.New("an event of the stream is too long")
	}
	e.held = append([]byte(nil), e.held...) // what was passed on need not stay in memory
	return out.Bytes(), true, nil
}

// finish gives what is held back when a stream ends without saying so.
func (e *events) finish() ([]byte, bool, error) {
	var out bytes.Buffer
	if len(bytes.TrimSpace(e.held)) > 0 {
		frame := e.held
		e.held = nil
		if err := e.frame(&out, frame); err != nil {
			return refused(&out, err)
		}
	}
	if err := e.endAll(&out); err != nil {
		return refused(&out, err)
	}
	return out.Bytes(), true, nil
}

func refused(out *bytes.Buffer, err error) ([]byte, bool, error) {
	if errors.Is(err, errRefused) {
		err = nil
	}
	return out.Bytes(), false, err
}

// cutFrame cuts the first event off, without the empty line behind it.
func cutFrame(b []byte) (frame, rest []byte, found bool) {
	at, length := -1, 0
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		if i := bytes.Index(b, []byte(end)); i >= 0 && (at < 0 || i < at) {
			at, length = i, len(end)
		}
	}
	if at < 0 {
		return nil, b, false
	}
	return b[:at], b[at+length:], true
}

// frame handles one event.
func (e *events) frame(out *bytes.Buffer, frame []byte) error {
	var data []string
	var other []string
	for _, line := range strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(frame)), "\n") {
		if value, ok := cutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(value, " "))
		} else if line != "" {
			other = append(other, line)
		}
	}
	payload := strings.Join(data, "\n")
	if len(data) == 0 {
		write := append(append([]byte(nil), frame...), "\n\n"...)
		out.Write(write)
		return nil
	}
	if strings.TrimSpace(payload) == "[DONE]" {
		if err := e.endAll(out); err != nil {
			return err
		}
		emit(out, other, payload)
		return nil
	}
	var event object
	decoder := json.NewDecoder(strings.NewReader(payload))
	decoder.UseNumber()
	if err := decoder.Decode(&event); err != nil || event == nil {
		text, err := e.wholeText(payload)
		if err == nil {
			emit(out, other, text)
		}
		return err
	}
	if err := e.event(out, event); err != nil {
		return err
	}
	if e.usageOnly(event) {
		return nil
	}
	emit(out, other, encode(event))
	return nil
}

func cutPrefix(text, prefix string) (string, bool) {
	if strings.HasPrefix(text, prefix) {
		return text[len(prefix):], true
	}
	return text, false
}

func emit(out *bytes.Buffer, other []string, payload string) {
	for _, line := range other {
		out.WriteString(line + "\n")
	}
	for _, line := range strings.Split(payload, "\n") {
		out.WriteString("data: " + line + "\n")
	}
	out.WriteString("\n")
}

func encode(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return "{}"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// event changes an event in place, and writes before it what must come first.
func (e *events) event(out *bytes.Buffer, event object) error {
	e.readUsage(event)
	if choices, ok := event["choices"].([]any); ok {
		for _, item := range choices {
			if choice, ok := item.(object); ok {
				if err := e.choice(event, choice); err != nil {
					return err
				}
			}
		}
		return nil
	}
	kind, _ := event["type"].(string)
	switch {
	case kind == "content_block_delta":
		return e.blockDelta(event)
	case kind == "content_block_stop":
		return e.end(out, fmt.Sprint("block ", event["index"]))
	case strings.HasSuffix(kind, ".delta"):
		return e.responseDelta(event, kind)
	case strings.HasSuffix(kind, ".done"):
		if err := e.end(out, responseKey(event, strings.TrimSuffix(kind, ".done"))); err != nil {
			return err
		}
	}
	return e.wholeTexts(event)
}

// -- scanners ------------------------------------------------------------------------------------------

// scan feeds a piece of a text; the text must not go on when the error is errRefused.
func (e *events) scan(key, piece string, make func() *scanner) (string, error) {
	e.raw.WriteString(piece)
	s := e.scanners[key]
	if s == nil {
		stream, err := e.d.Stream()
		if err != nil {
			return "", err
		}
		s = make()
		s.stream = stream
		e.scanners[key] = s
		e.order = append(e.order, key)
	}
	return judged(s.stream.Feed([]byte(piece), false))
}

func judged(out []byte, ok bool, err error) (string, error) {
	if err == nil && !ok {
		err = errRefused
	}
	return string(out), err
}

// rest ends a text and gives what was held back of it.
func (e *events) rest(key string) (*scanner, string, error) {
	s := e.scanners[key]
	if s == nil {
		return nil, "", nil
	}
	delete(e.scanners, key)
	for i, known := range e.order {
		if known == key {
			e.order = append(e.order[:i], e.order[i+1:]...)
			break
		}
	}
	text, err := judged(s.stream.Feed(nil, true))
	_ = s.stream.Close()
	return s, text, err
}

// end writes what was held back of a text as an event of its own.
func (e *events) end(out *bytes.Buffer, key string) error {
	s, text, err := e.rest(key)
	if err == nil && text != "" {
		out.Write(s.rest(text))
	}
	return err
}

func (e *events) endAll(out *bytes.Buffer) error {
	for len(e.order) > 0 {
		if err := e.end(out, e.order[0]); err != nil {
			return err
		}
	}
	return nil
}

func (e *events) wholeText(text string) (string, error) {
	return judged(e.d.OutputText([]byte(text)))
}

// names of members that hold what a model wrote, in events that repeat whole texts.
var texts = map[string]bool{
	"text": true, "arguments": true, "refusal": true, "content": true, "thinking": true, "partial_json": true,
	"output": true, "completion": true, "delta": true,
}

// wholeTexts scans and restores every text below a value.
func (e *events) wholeTexts(value any) error {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			if err := e.wholeTexts(item); err != nil {
				return err
			}
		}
	case object:
		for name, item := range value {
			text, ok := item.(string)
			if !ok || !texts[name] || text == "" {
				if err := e.wholeTexts(item); err != nil {
					return err
				}
				continue
			}
			changed, err := e.wholeText(text)
			if err != nil {
				return err
			}
			value[name] = changed
		}
	}
	return nil
}

// -- chunks with choices -------------------------------------------------------------------------------

func (e *events) choice(event, choice object) error {
	index := fmt.Sprint(choice["index"])
	delta, ok := choice["delta"].(object)
	if !ok {
		delta = choice // a text completion
	}
	for _, name := range []string{"content", "reasoning_content", "reasoning", "refusal", "text"} {
		text, ok := delta[name].(string)
		if !ok || text == "" {
			continue
		}
		out, err := e.scan(index+" "+name, text, func() *scanner { return textScanner(event, choice, index, name) })
		if err != nil {
			return err
		}
		delta[name] = out
	}
	if err := e.tools(event, choice, delta, index); err != nil {
		return err
	}
	if choice["finish_reason"] == nil {
		return nil
	}
	for _, key := range append([]string(nil), e.order...) {
		if s := e.scanners[key]; s.choice != index {
			continue
		}
		s, text, err := e.rest(key)
		if err != nil {
			return err
		}
		if text != "" {
			s.put(choice, text)
		}
	}
	return nil
}

// deltaOf is where the texts of a choice stand.
func deltaOf(choice object) object {
	if delta, ok := choice["delta"].(object); ok {
		return delta
	}
	return choice
}

// blank is an event like another one, with one choice that says nothing.
func blank(event, choice object) (object, object) {
	made, only := object{}, object{"index": choice["index"], "finish_reason": nil}
	for name, value := range event {
		if name != "usage" {
			made[name] = value
		}
	}
	if _, ok := choice["delta"].(object); ok {
		only["delta"] = object{}
	}
	made["choices"] = []any{only}
	return made, only
}

func textScanner(event, choice object, index, name string) *scanner {
	return chunkScanner(event, choice, index, func(at object, text string) {
		delta := deltaOf(at)
		before, _ := delta[name].(string)
		delta[name] = before + text
	})
}

func chunkScanner(event, choice object, index string, put func(at object, text string)) *scanner {
	event, choice = blank(event, choice)
	return &scanner{choice: index, put: put, rest: func(text string) []byte {
		put(choice, text)
		var b bytes.Buffer
		emit(&b, nil, encode(event))
		return b.Bytes()
	}}
}

func (e *events) tools(event, choice, delta object, index string) error {
	calls, _ := delta["tool_calls"].([]any)
	for _, item := range calls {
		call, _ := item.(object)
		if err := e.arguments(event, choice, call["function"], index, call["index"]); err != nil {
			return err
		}
	}
	return e.arguments(event, choice, delta["function_call"], index, nil)
}

// arguments scans those of a tool's call, or of the older form with one function.
func (e *events) arguments(event, choice object, holder any, index string, tool any) error {
	function, _ := holder.(object)
	text, ok := function["arguments"].(string)
	if !ok || text == "" {
		return nil
	}
	put := func(at object, rest string) {
		delta, made := deltaOf(at), object{"arguments": rest}
		if tool == nil {
			delta["function_call"] = joined(delta["function_call"], rest)
			return
		}
		calls, _ := delta["tool_calls"].([]any)
		delta["tool_calls"] = append(calls, object{"index": tool, "function": made})
	}
	out, err := e.scan(fmt.Sprint(index, " tool ", tool), text, func() *scanner {
		return chunkScanner(event, choice, index, put)
	})
	if err == nil {
		function["arguments"] = out
	}
	return err
}

func joined(holder any, rest string) object {
	function, ok := holder.(object)
	if !ok {
		function = object{}
	}
	before, _ := function["arguments"].(string)
	function["arguments"] = before + rest
	return function
}

// -- Anthropic's events and those of responses ---------------------------------------------------------

func (e *events) blockDelta(event object) error {
	delta, _ := event["delta"].(object)
	for _, name := range []string{"text", "partial_json", "thinking"} {
		text, ok := delta[name].(string)
		if !ok || text == "" {
			continue
		}
		name := name
		key := fmt.Sprint("block ", event["index"])
		out, err := e.scan(key, text, func() *scanner {
			made := object{"type": event["type"], "index": event["index"]}
			kind := delta["type"]
			return &scanner{rest: func(rest string) []byte {
				made["delta"] = object{"type": kind, name: rest}
				return named(made)
			}}
		})
		if err != nil {
			return err
		}
		delta[name] = out
	}
	return nil
}

func responseKey(event object, kind string) string {
	return fmt.Sprint(kind, " ", event["item_id"], " ", event["output_index"], " ", event["content_index"])
}

func (e *events) responseDelta(event object, kind string) error {
	text, ok := event["delta"].(string)
	if !ok || text == "" {
		return e.wholeTexts(event)
	}
	out, err := e.scan(responseKey(event, strings.TrimSuffix(kind, ".delta")), text, func() *scanner {
		made := object{}
		for name, value := range event {
			made[name] = value
		}
		return &scanner{rest: func(rest string) []byte {
			made["delta"] = rest
			return named(made)
		}}
	})
	if err == nil {
		event["delta"] = out
	}
	return err
}

// named is an event whose type stands in a line of its own too.
func named(event object) []byte {
	var b bytes.Buffer
	emit(&b, []string{fmt.Sprint("event: ", event["type"])}, encode(event))
	return b.Bytes()
}

// -- usage ---------------------------------------------------------------------------------------------

// usageOnly tells whether an event is the chunk that the client did not ask for; else it takes the figures out.
func (e *events) usageOnly(event object) bool {
	choices, ok := event["choices"].([]any)
	if e.showUsage || !ok {
		return false
	}
	told := event["usage"] != nil
	delete(event, "usage")
	return told && len(choices) == 0
}

// readUsage keeps what an event tells of the usage. Anthropic tells the input first and the output last.
func (e *events) readUsage(event object) {
	for _, holder := range []any{event, event["response"], event["message"]} {
		at, _ := holder.(object)
		found, ok := at["usage"].(object)
		if !ok {
			continue
		}
		usage, err := aicp.ParseUsage([]byte(encode(found)))
		if err != nil || usage == (aicp.Usage{}) {
			continue
		}
		if e.told {
			usage = larger(e.usage, usage)
		}
		e.usage, e.told = usage, true
	}
}

func larger(a, b aicp.Usage) aicp.Usage {
	for _, field := range []struct{ to, from *int64 }{
		{&b.PromptTokens, &a.PromptTokens}, {&b.CompletionTokens, &a.CompletionTokens},
		{&b.CacheReadTokens, &a.CacheReadTokens}, {&b.CacheWriteTokens, &a.CacheWriteTokens},
		{&b.CacheWrite1hTokens, &a.CacheWrite1hTokens}, {&b.ReasoningTokens, &a.ReasoningTokens},
	} {
		if *field.from > *field.to {
			*field.to = *field.from
		}
	}
	return b
}

// usageIn is the usage that a whole answer tells.
func usageIn(body []byte) (aicp.Usage, bool) {
	var found struct {
		Usage json.RawMessage `json:"usage"`
	}
	if json.Unmarshal(body, &found) != nil || len(found.Usage) == 0 || string(found.Usage) == "null" {
		return aicp.Usage{}, false
	}
	usage, err := aicp.ParseUsage(found.Usage)
	return usage, err == nil && usage != aicp.Usage{}
}

// textsOf is what a model wrote in a whole answer; all of it where that is no JSON.
func textsOf(body []byte) string {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return string(body)
	}
	var b strings.Builder
	collect(&b, value)
	return b.String()
}

func collect(b *strings.Builder, value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			collect(b, item)
		}
	case object:
		for name, item := range value {
			if text, ok := item.(string); ok && texts[name] {
				b.WriteString(text)
			} else {
				collect(b, item)
			}
		}
	}
}
