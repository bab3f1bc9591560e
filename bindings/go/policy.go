package aicp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sort"
	"sync"
	"time"
	"unsafe"

	"aicp.dev/go/internal/capi"
)

// EntityUID names an entity of Cedar: User::"ann" is {"User", "ann"}.
type EntityUID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Effect is what a policy does when its conditions hold.
type Effect int

// Effects.
const (
	Permit Effect = capi.AICP_POLICY_PERMIT
	Forbid Effect = capi.AICP_POLICY_FORBID
)

func (e Effect) String() string {
	if e == Forbid {
		return "forbid"
	}
	return "permit"
}

// PolicyOptions says how policies are read. Zero means default.
type PolicyOptions struct {
	IDFromAnnotation bool // a policy's @id("…") is its id
	MaxDepth         uint32
	MaxBytes         uint64
}

// PolicySet is a set of Cedar policies. It never changes.
type PolicySet struct{ h *handle[capi.PolicySet] }

// ParsePolicies reads policies in Cedar's text syntax or in Cedar's JSON, a policy set or one policy.
func ParsePolicies(text string, o PolicyOptions) (*PolicySet, error) {
	var c capi.PolicySetOptions
	capi.Aicp_policy_set_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.IDFromAnnotation {
		c.Flags |= capi.AICP_POLICY_ID_FROM_ANNOTATION
	}
	c.Max_depth, c.Max_bytes = o.MaxDepth, o.MaxBytes
	var out *capi.PolicySet
	e := detail()
	if err := failed(capi.Aicp_policy_set_parse(text, &c, &out, e), e); err != nil {
		return nil, err
	}
	return newPolicySet(out), nil
}

func newPolicySet(p *capi.PolicySet) *PolicySet {
	return &PolicySet{hold(p, "PolicySet", capi.Aicp_policy_set_free)}
}

// Close frees the set.
func (s *PolicySet) Close() error { s.h.close(); return nil }

// Link makes a new set with links of templates: a JSON array of {"templateId", "newId", "values"}.
func (s *PolicySet) Link(links []byte) (*PolicySet, error) {
	p, err := s.h.enter()
	if err != nil {
		return nil, err
	}
	defer s.h.leave()
	var out *capi.PolicySet
	e := detail()
	if err := failed(capi.Aicp_policy_set_link(p, capi.View(links), &out, e), e); err != nil {
		return nil, err
	}
	return newPolicySet(out), nil
}

// PolicyForm is a form in which policies are written.
type PolicyForm int32

// Forms of policies.
const (
	PolicyCedar PolicyForm = capi.AICP_POLICY_FORMAT_CEDAR
	PolicyJSON  PolicyForm = capi.AICP_POLICY_FORMAT_JSON
)

// Write gives the whole set; one with links has no other form than JSON.
func (s *PolicySet) Write(form PolicyForm) ([]byte, error) {
	return s.write(func(p *capi.PolicySet, buf *capi.Buf, e *capi.Error) int {
		return capi.Aicp_policy_set_write(p, int(form), buf, e)
	})
}

// WritePolicy gives one policy; a link as the policy that it stands for.
func (s *PolicySet) WritePolicy(index int, form PolicyForm) ([]byte, error) {
	return s.write(func(p *capi.PolicySet, buf *capi.Buf, e *capi.Error) int {
		return capi.Aicp_policy_set_write_policy(p, int64(index), int(form), buf, e)
	})
}

// WriteTemplate gives one template, by its place in Templates.
func (s *PolicySet) WriteTemplate(index int, form PolicyForm) ([]byte, error) {
	return s.write(func(p *capi.PolicySet, buf *capi.Buf, e *capi.Error) int {
		return capi.Aicp_policy_set_write_template(p, int64(index), int(form), buf, e)
	})
}

func (s *PolicySet) write(call func(p *capi.PolicySet, buf *capi.Buf, e *capi.Error) int) ([]byte, error) {
	p, err := s.h.enter()
	if err != nil {
		return nil, err
	}
	defer s.h.leave()
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int { return call(p, buf, e) })
}

// FormatOptions says how policies are laid out. Zero means default.
type FormatOptions struct {
	LineWidth uint32 // characters that a line should have at most
	Indent    uint32 // spaces by which a line is indented per level
	MaxDepth  uint32
	MaxBytes  uint64
}

// FormatPolicies gives policies in Cedar's text syntax in a canonical layout, with all their comments.
func FormatPolicies(text string, o FormatOptions) ([]byte, error) {
	var c capi.PolicyFormatOptions
	capi.Aicp_policy_format_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Line_width, c.Indent, c.Max_depth, c.Max_bytes = o.LineWidth, o.Indent, o.MaxDepth, o.MaxBytes
	return bytesOf(func(buf *capi.Buf, e *capi.Error) int {
		return capi.Aicp_policy_format(text, &c, buf, e)
	})
}

// Len is the number of policies and links.
func (s *PolicySet) Len() int {
	p, err := s.h.enter()
	if err != nil {
		return 0
	}
	defer s.h.leave()
	return int(capi.Aicp_policy_set_count(p))
}

// Templates are the ids of the templates.
func (s *PolicySet) Templates() []string {
	p, err := s.h.enter()
	if err != nil {
		return nil
	}
	defer s.h.leave()
	ids := make([]string, capi.Aicp_policy_set_template_count(p))
	for i := range ids {
		ids[i] = capi.Text(capi.Aicp_policy_set_template_id(p, int64(i)))
	}
	return ids
}

// Policy is one policy of a set, with its place in the text from 1, columns in bytes.
type Policy struct {
	Index       int
	ID          string
	Effect      Effect
	Line        int
	Column      int
	Annotations map[string]string
}

// At is the policy with that index.
func (s *PolicySet) At(index int) (Policy, error) {
	p, err := s.h.enter()
	if err != nil {
		return Policy{}, err
	}
	defer s.h.leave()
	i := int64(index)
	if i < 0 || i >= capi.Aicp_policy_set_count(p) {
		return Policy{}, &Error{Code: ErrNotFound, Message: fmt.Sprintf("the set has no policy %d", index)}
	}
	found := Policy{
		Index:       index,
		ID:          capi.Text(capi.Aicp_policy_set_id(p, i)),
		Effect:      Effect(capi.Aicp_policy_set_effect(p, i)),
		Line:        int(capi.Aicp_policy_set_line(p, i)),
		Column:      int(capi.Aicp_policy_set_column(p, i)),
		Annotations: map[string]string{},
	}
	for n := int64(0); n < capi.Aicp_policy_set_annotation_count(p, i); n++ {
		key := capi.Text(capi.Aicp_policy_set_annotation_key(p, i, n))
		found.Annotations[key] = capi.Text(capi.Aicp_policy_set_annotation_value(p, i, n))
	}
	return found, nil
}

// Find is the policy with that id.
func (s *PolicySet) Find(id string) (Policy, error) {
	p, err := s.h.enter()
	if err != nil {
		return Policy{}, err
	}
	defer s.h.leave()
	var index uint64
	e := detail()
	if err := failed(capi.Aicp_policy_set_find(p, id, &index, e), e); err != nil {
		return Policy{}, err
	}
	return s.At(int(index))
}

// Annotation is the value of one annotation of a policy; false when it has none of that name.
func (s *PolicySet) Annotation(index int, key string) (string, bool) {
	p, err := s.h.enter()
	if err != nil || noNUL("key", key) != nil || index < 0 {
		return "", false
	}
	defer s.h.leave()
	value := capi.Aicp_policy_set_annotation(p, int64(index), key)
	return capi.Text(value), value != nil
}

// SchemaOptions says how a schema is read. Zero means default.
type SchemaOptions struct {
	MaxDepth uint32
	MaxBytes uint64
}

// Schema says what entities, actions and contexts look like. It never changes.
type Schema struct{ h *handle[capi.PolicySchema] }

// ParseSchema reads a schema in Cedar's schema syntax or, when it begins with a brace, in the JSON form.
func ParseSchema(text []byte, o SchemaOptions) (*Schema, error) {
	var c capi.PolicySchemaOptions
	capi.Aicp_policy_schema_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Max_depth, c.Max_bytes = o.MaxDepth, o.MaxBytes
	var out *capi.PolicySchema
	e := detail()
	if err := failed(capi.Aicp_policy_schema_parse(capi.View(text), &c, &out, e), e); err != nil {
		return nil, err
	}
	return &Schema{hold(out, "Schema", capi.Aicp_policy_schema_free)}, nil
}

// Close frees the schema.
func (s *Schema) Close() error { s.h.close(); return nil }

// Cedar is the schema in Cedar's schema syntax.
func (s *Schema) Cedar() ([]byte, error) { return s.write(capi.AICP_POLICY_FORMAT_CEDAR) }

// JSON is the schema in the JSON form.
func (s *Schema) JSON() ([]byte, error) { return s.write(capi.AICP_POLICY_FORMAT_JSON) }

func (s *Schema) write(format int) ([]byte, error) {
	p, err := s.h.enter()
	if err != nil {
		return nil, err
	}
	defer s.h.leave()
	return bytesOf(func(out *capi.Buf, e *capi.Error) int {
		return capi.Aicp_policy_schema_write(p, format, out, e)
	})
}

// EntityTypes are the declared entity types with their namespaces.
func (s *Schema) EntityTypes() []string {
	p, err := s.h.enter()
	if err != nil {
		return nil
	}
	defer s.h.leave()
	names := make([]string, capi.Aicp_policy_schema_entity_type_count(p))
	for i := range names {
		names[i] = capi.Text(capi.Aicp_policy_schema_entity_type(p, int64(i)))
	}
	return names
}

// Actions are the declared actions.
func (s *Schema) Actions() []EntityUID {
	p, err := s.h.enter()
	if err != nil {
		return nil
	}
	defer s.h.leave()
	actions := make([]EntityUID, capi.Aicp_policy_schema_action_count(p))
	for i := range actions {
		var n uint64
		id := capi.Aicp_policy_schema_action_id(p, int64(i), &n)
		actions[i] = EntityUID{capi.Text(capi.Aicp_policy_schema_action_type(p, int64(i))), string(capi.Bytes(id, n))}
	}
	return actions
}

// SchemaWarning is something of a schema that is allowed but may surprise, with its place from 1.
type SchemaWarning struct {
	Message string
	Line    int
	Column  int
}

// Warnings tell of declarations that hide others.
func (s *Schema) Warnings() []SchemaWarning {
	p, err := s.h.enter()
	if err != nil {
		return nil
	}
	defer s.h.leave()
	warnings := make([]SchemaWarning, capi.Aicp_policy_schema_warning_count(p))
	for i := range warnings {
		n := int64(i)
		warnings[i] = SchemaWarning{
			Message: capi.Text(capi.Aicp_policy_schema_warning(p, n)),
			Line:    int(capi.Aicp_policy_schema_warning_line(p, n)),
			Column:  int(capi.Aicp_policy_schema_warning_column(p, n)),
		}
	}
	return warnings
}

// EntityOptions says how much is read. Zero means default.
type EntityOptions struct {
	MaxBytes     uint64
	MaxEntities  uint64
	MaxAncestors uint64
	// Schema says what the entities must be like; its actions are added. nil: anything.
	Schema *Schema
}

// Entities is a store of Cedar's entities. It never changes.
type Entities struct{ h *handle[capi.PolicyEntities] }

// ParseEntities reads Cedar's entity JSON.
func ParseEntities(text []byte, o EntityOptions) (*Entities, error) {
	var c capi.PolicyEntitiesOptions
	capi.Aicp_policy_entities_options_init(&c, int64(unsafe.Sizeof(c)))
	c.Max_bytes, c.Max_entities, c.Max_ancestors = o.MaxBytes, o.MaxEntities, o.MaxAncestors
	if o.Schema != nil {
		p, err := o.Schema.h.enter()
		if err != nil {
			return nil, err
		}
		defer o.Schema.h.leave()
		c.Schema = (*[0]byte)(unsafe.Pointer(p))
	}
	var out *capi.PolicyEntities
	e := detail()
	if err := failed(capi.Aicp_policy_entities_parse(capi.View(text), &c, &out, e), e); err != nil {
		return nil, err
	}
	return &Entities{hold(out, "Entities", capi.Aicp_policy_entities_free)}, nil
}

// Close frees the store.
func (s *Entities) Close() error { s.h.close(); return nil }

// Len is the number of entities.
func (s *Entities) Len() int {
	p, err := s.h.enter()
	if err != nil {
		return 0
	}
	defer s.h.leave()
	return int(capi.Aicp_policy_entities_count(p))
}

// Contains tells whether the store holds an entity.
func (s *Entities) Contains(uid EntityUID) bool {
	p, err := s.h.enter()
	if err != nil {
		return false
	}
	defer s.h.leave()
	return capi.Aicp_policy_entities_contains(p, uid.Type, uid.ID) != 0
}

// JSON is all entities as ParseEntities reads them, one a line.
func (s *Entities) JSON() ([]byte, error) {
	p, err := s.h.enter()
	if err != nil {
		return nil, err
	}
	defer s.h.leave()
	return bytesOf(func(out *capi.Buf, e *capi.Error) int { return capi.Aicp_policy_entities_write(p, out, e) })
}

// PolicyRequest is a question that is built step by step. Reset makes it usable again.
type PolicyRequest struct {
	h      *handle[capi.PolicyRequest]
	lookup *lookup
}

// NewPolicyRequest makes an empty request.
func NewPolicyRequest() (*PolicyRequest, error) {
	var out *capi.PolicyRequest
	e := detail()
	if err := failed(capi.Aicp_policy_request_new(&out, e), e); err != nil {
		return nil, err
	}
	return &PolicyRequest{h: hold(out, "PolicyRequest", capi.Aicp_policy_request_free)}, nil
}

// Close frees the request.
func (r *PolicyRequest) Close() error { r.h.close(); return nil }

func (r *PolicyRequest) with(call func(p *capi.PolicyRequest, e *capi.Error) int) error {
	p, err := r.h.lock()
	if err != nil {
		return err
	}
	defer r.h.unlock()
	e := detail()
	return failed(call(p, e), e)
}

// Reset empties the request.
func (r *PolicyRequest) Reset() error {
	return r.with(func(p *capi.PolicyRequest, _ *capi.Error) int {
		capi.Aicp_policy_request_reset(p)
		return capi.AICP_OK
	})
}

// Schema makes contexts and attributes that are given as JSON be read by what the schema declares: contexts by the action
// that is set at that moment. nil: no schema.
func (r *PolicyRequest) Schema(schema *Schema) error {
	var q *capi.PolicySchema
	if schema != nil {
		var err error
		if q, err = schema.h.enter(); err != nil {
			return err
		}
		defer schema.h.leave()
	}
	return r.with(func(p *capi.PolicyRequest, _ *capi.Error) int {
		capi.Aicp_policy_request_set_schema(p, q)
		return capi.AICP_OK
	})
}

// Check is an error when the request is not as its schema declares.
func (r *PolicyRequest) Check() error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int { return capi.Aicp_policy_request_check(p, e) })
}

// Principal says who asks.
func (r *PolicyRequest) Principal(uid EntityUID) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_principal(p, uid.Type, uid.ID, e)
	})
}

// Action says what is to be done.
func (r *PolicyRequest) Action(uid EntityUID) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_action(p, uid.Type, uid.ID, e)
	})
}

// Resource says on what.
func (r *PolicyRequest) Resource(uid EntityUID) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_resource(p, uid.Type, uid.ID, e)
	})
}

// JSON sets principal, action, resource and context from one JSON object; an entity may stand as {"type", "id"} or
// as text, Type::"id".
func (r *PolicyRequest) JSON(object []byte) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_json(p, capi.View(object), e)
	})
}

// Part is a part of a request that may be unknown.
type Part int32

// Parts of a request.
const (
	PartPrincipal Part = capi.AICP_POLICY_PRINCIPAL
	PartAction    Part = capi.AICP_POLICY_ACTION
	PartResource  Part = capi.AICP_POLICY_RESOURCE
)

// Unknown makes a part unknown but for its type; "" leaves that open, too.
func (r *PolicyRequest) Unknown(part Part, entityType string) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_unknown(p, int(part), entityType, e)
	})
}

// ContextJSON sets the whole context from a JSON object.
func (r *PolicyRequest) ContextJSON(object []byte) error {
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_set_context_json(p, capi.View(object), e)
	})
}

// Decimal is a value of Cedar's type decimal, one to four digits behind the point: "1.25".
type Decimal string

// Context sets one attribute of the context: bool, int, int32, int64, string, []string, EntityUID, netip.Addr,
// netip.Prefix, Decimal, time.Time, time.Duration, or anything else that encoding/json can write.
func (r *PolicyRequest) Context(name string, value any) error {
	return r.attribute(name, value, contextSetters)
}

// Entity begins an entity that only this request knows. It hides one of the same name in the store.
func (r *PolicyRequest) Entity(uid EntityUID, parents ...EntityUID) error {
	err := r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return capi.Aicp_policy_request_entity_begin(p, uid.Type, uid.ID, e)
	})
	for _, parent := range parents {
		if err != nil {
			return err
		}
		parent := parent
		err = r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
			return capi.Aicp_policy_request_entity_parent(p, parent.Type, parent.ID, e)
		})
	}
	return err
}

// Attribute sets one attribute of the entity begun last; values as for Context, without addresses and durations.
func (r *PolicyRequest) Attribute(name string, value any) error {
	return r.attribute(name, value, entitySetters)
}

// setters are the calls for one kind of attribute.
type setters struct {
	boolean  func(*capi.PolicyRequest, string, int, *capi.Error) int
	long     func(*capi.PolicyRequest, string, int64, *capi.Error) int
	text     func(*capi.PolicyRequest, string, string, *capi.Error) int
	texts    func(*capi.PolicyRequest, string, **byte, *uint64, int64, *capi.Error) int
	entity   func(*capi.PolicyRequest, string, string, string, *capi.Error) int
	decimal  func(*capi.PolicyRequest, string, string, *capi.Error) int
	datetime func(*capi.PolicyRequest, string, int64, *capi.Error) int
	json     func(*capi.PolicyRequest, string, string, *capi.Error) int
	duration func(*capi.PolicyRequest, string, int64, *capi.Error) int
	ip       func(*capi.PolicyRequest, string, string, *capi.Error) int
}

var contextSetters = setters{
	capi.Aicp_policy_request_context_bool, capi.Aicp_policy_request_context_long,
	capi.Aicp_policy_request_context_string, capi.Aicp_policy_request_context_string_set,
	capi.Aicp_policy_request_context_entity, capi.Aicp_policy_request_context_decimal,
	capi.Aicp_policy_request_context_datetime, capi.Aicp_policy_request_context_json,
	capi.Aicp_policy_request_context_duration, capi.Aicp_policy_request_context_ip,
}

var entitySetters = setters{
	capi.Aicp_policy_request_entity_attr_bool, capi.Aicp_policy_request_entity_attr_long,
	capi.Aicp_policy_request_entity_attr_string, capi.Aicp_policy_request_entity_attr_string_set,
	capi.Aicp_policy_request_entity_attr_entity, capi.Aicp_policy_request_entity_attr_decimal,
	capi.Aicp_policy_request_entity_attr_datetime, capi.Aicp_policy_request_entity_attr_json,
	nil, nil,
}

func (r *PolicyRequest) attribute(name string, value any, set setters) error {
	if err := noNUL("name", name); err != nil {
		return err
	}
	var call func(*capi.PolicyRequest, *capi.Error) int
	text := func(f func(*capi.PolicyRequest, string, string, *capi.Error) int, s string) {
		call = func(p *capi.PolicyRequest, e *capi.Error) int { return f(p, name, s, e) }
	}
	long := func(f func(*capi.PolicyRequest, string, int64, *capi.Error) int, n int64) {
		call = func(p *capi.PolicyRequest, e *capi.Error) int { return f(p, name, n, e) }
	}
	kind := value
	switch kind.(type) { // what entities cannot have goes as JSON
	case netip.Addr, netip.Prefix, time.Duration:
		if set.ip == nil {
			return &Error{Code: ErrUnsupported, Message: fmt.Sprintf("an attribute of an entity cannot be a %T", value)}
		}
	}
	switch v := kind.(type) {
	case bool:
		call = func(p *capi.PolicyRequest, e *capi.Error) int { return set.boolean(p, name, boolean(v), e) }
	case int:
		long(set.long, int64(v))
	case int32:
		long(set.long, int64(v))
	case int64:
		long(set.long, v)
	case string:
		text(set.text, v)
	case Decimal:
		text(set.decimal, string(v))
	case netip.Addr:
		text(set.ip, v.String())
	case netip.Prefix:
		text(set.ip, v.String())
	case time.Time:
		long(set.datetime, v.UnixMilli())
	case time.Duration:
		long(set.duration, v.Milliseconds())
	case EntityUID:
		if err := noNUL("entity", v.Type, v.ID); err != nil {
			return err
		}
		call = func(p *capi.PolicyRequest, e *capi.Error) int { return set.entity(p, name, v.Type, v.ID, e) }
	case []string:
		return r.texts(name, v, set)
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return &Error{Code: ErrInvalid, Message: name + ": " + err.Error(), cause: err}
		}
		text(set.json, string(data))
	}
	return r.with(call)
}

func (r *PolicyRequest) texts(name string, texts []string, set setters) error {
	sorted := append([]string(nil), texts...)
	sort.Strings(sorted)
	list := listTexts(sorted)
	defer list.Free()
	return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
		return set.texts(p, name, list.items, list.lens, list.count, e)
	})
}

// textList is a list of texts in C memory.
type textList struct {
	*capi.Memory
	items **byte
	lens  *uint64
	count int64
}

func listTexts(texts []string) textList {
	size := 16
	for _, text := range texts {
		size += len(text) + 32
	}
	m := capi.Room(size)
	n := len(texts)
	items := unsafe.Slice((**int8)(m.Raw(8*(n+1))), n+1)
	lens := unsafe.Slice((*uint64)(m.Raw(8*(n+1))), n+1)
	for i, text := range texts {
		items[i], lens[i] = m.Put(text), uint64(len(text))
	}
	return textList{m, (**byte)(unsafe.Pointer(&items[0])), &lens[0], int64(n)}
}

// Authorization is the answer to a request.
type Authorization struct {
	Allowed  bool
	Reasons  []string // ids of the policies that decided
	Indexes  []int    // the same as indexes in the set
	Failures []PolicyFailure
}

// PolicyFailure is a policy that could not be evaluated; it counts as not satisfied.
type PolicyFailure struct {
	ID      string
	Index   int
	Kind    string // "TypeError", …
	Code    Code
	Message string
	Line    int
	Column  int
}

// Authorizer answers requests by one set of policies over one store of entities. Many goroutines may use it.
type Authorizer struct {
	policies *handle[capi.PolicySet]
	entities *handle[capi.PolicyEntities]
	rooms    *sync.Pool // responses, used again
}

// NewAuthorizer makes an authorizer with references of its own to both; entities may be nil.
func NewAuthorizer(policies *PolicySet, entities *Entities) (*Authorizer, error) {
	p, err := policies.h.enter()
	if err != nil {
		return nil, err
	}
	defer policies.h.leave()
	a := &Authorizer{rooms: new(sync.Pool)}
	if entities != nil {
		q, err := entities.h.enter()
		if err != nil {
			return nil, err
		}
		defer entities.h.leave()
		a.entities = hold(capi.Aicp_policy_entities_ref(q), "Authorizer", capi.Aicp_policy_entities_free)
	}
	a.policies = hold(capi.Aicp_policy_set_ref(p), "Authorizer", capi.Aicp_policy_set_free)
	return a, nil
}

// Close gives the references back.
func (a *Authorizer) Close() error {
	a.policies.close()
	a.entities.close()
	return nil
}

// Authorize answers a request with all its reasons and failures.
func (a *Authorizer) Authorize(r *PolicyRequest) (Authorization, error) { return a.ask(r, 0) }

// Allowed answers a request, and stops as soon as the answer is sure.
func (a *Authorizer) Allowed(r *PolicyRequest) (bool, error) {
	answer, err := a.ask(r, capi.AICP_POLICY_DECISION_ONLY)
	return answer.Allowed, err
}

// BatchOptions says how many requests in one text are read. Zero means default.
type BatchOptions struct {
	DecisionOnly bool   // the answers have a decision and no more
	Lines        bool   // JSON Lines even where the text begins with a bracket
	FirstLine    uint32 // number of the first line
	// Schema is what requests are read by and must be like; the groups of its actions stand in entities that were read
	// with it. nil: anything.
	Schema *Schema
}

// AuthorizeJSON answers many requests, a JSON array or JSON Lines, in the form they come in.
func (a *Authorizer) AuthorizeJSON(requests []byte, o BatchOptions) (answers []byte, err error) {
	var c capi.PolicyBatchOptions
	capi.Aicp_policy_batch_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.DecisionOnly {
		c.Flags |= capi.AICP_POLICY_DECISION_ONLY
	}
	if o.Lines {
		c.Flags |= capi.AICP_POLICY_LINES
	}
	c.First_line = o.FirstLine
	if o.Schema != nil {
		p, err := o.Schema.h.enter()
		if err != nil {
			return nil, err
		}
		defer o.Schema.h.leave()
		c.Schema = (*[0]byte)(unsafe.Pointer(p))
	}
	err = a.with(func(set *capi.PolicySet, entities *capi.PolicyEntities) (err error) {
		answers, err = bytesOf(func(buf *capi.Buf, e *capi.Error) int {
			return capi.Aicp_policy_authorize_json(set, entities, &c, capi.View(requests), buf, e)
		})
		return err
	})
	return answers, err
}

// PartialAuthorization is what is sure of a request with unknown parts.
type PartialAuthorization struct {
	Authorization            // its decision, false when undecided; policies that make it so; failures in any case
	Undecided     bool       // the decision hangs on the unknown parts
	Rest          *PolicySet // what is left of the policies, to be closed
}

// Partial tells what holds whatever the parts are that are not set, and what is left of the policies.
func (a *Authorizer) Partial(r *PolicyRequest) (answer PartialAuthorization, err error) {
	err = a.with(func(set *capi.PolicySet, entities *capi.PolicyEntities) error {
		room, err := newResponse()
		if err != nil {
			return err
		}
		defer room.close()
		response, err := room.lock()
		if err != nil {
			return err
		}
		defer room.unlock()
		var out *capi.PolicySet
		err = r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
			return capi.Aicp_policy_partial(set, entities, p, response, &out, e)
		})
		if err != nil {
			return err
		}
		decision := capi.Aicp_policy_response_decision(response)
		answer.Allowed = decision == capi.AICP_POLICY_ALLOW
		answer.Undecided = decision == capi.AICP_POLICY_UNDECIDED
		answer.read(response)
		answer.Rest = newPolicySet(out)
		return nil
	})
	return answer, err
}

// Explain tells as JSON why a request is answered as it is; with every, also of policies that are far from it.
func (a *Authorizer) Explain(r *PolicyRequest, every bool) (told []byte, err error) {
	var flags uint
	if every {
		flags = capi.AICP_POLICY_EXPLAIN_ALL
	}
	buf := new(capi.Buf)
	err = a.with(func(set *capi.PolicySet, entities *capi.PolicyEntities) error {
		return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
			return capi.Aicp_policy_explain(set, entities, p, flags, buf, e)
		})
	})
	return buf.Take(), err
}

// Filter gives those of the ids that are allowed in the place of the one part that is unknown.
func (a *Authorizer) Filter(r *PolicyRequest, ids []string) (allowed []string, err error) {
	list := listTexts(ids)
	defer list.Free()
	buf := new(capi.Buf)
	err = a.with(func(set *capi.PolicySet, entities *capi.PolicyEntities) error {
		return r.with(func(p *capi.PolicyRequest, e *capi.Error) int {
			return capi.Aicp_policy_filter(set, entities, p, list.items, list.lens, list.count, buf, e)
		})
	})
	for i, mark := range buf.Take() {
		if mark != 0 {
			allowed = append(allowed, ids[i])
		}
	}
	return allowed, err
}

// with keeps policies and entities while they are used.
func (a *Authorizer) with(call func(set *capi.PolicySet, entities *capi.PolicyEntities) error) error {
	set, err := a.policies.enter()
	if err != nil {
		return err
	}
	defer a.policies.leave()
	var entities *capi.PolicyEntities
	if a.entities != nil {
		if entities, err = a.entities.enter(); err != nil {
			return err
		}
		defer a.entities.leave()
	}
	return call(set, entities)
}

func (a *Authorizer) ask(r *PolicyRequest, flags uint) (answer Authorization, err error) {
	err = a.with(func(set *capi.PolicySet, entities *capi.PolicyEntities) (err error) {
		answer, err = a.askWith(set, entities, r, flags)
		return err
	})
	return answer, err
}

func (a *Authorizer) askWith(
	set *capi.PolicySet, entities *capi.PolicyEntities, r *PolicyRequest, flags uint,
) (Authorization, error) {
	var answer Authorization
	request, err := r.h.lock()
	if err != nil {
		return answer, err
	}
	defer r.h.unlock()
	room, ok := a.rooms.Get().(*handle[capi.PolicyResponse])
	if !ok {
		if room, err = newResponse(); err != nil {
			return answer, err
		}
	}
	defer a.rooms.Put(room)
	response, err := room.lock()
	if err != nil {
		return answer, err
	}
	defer room.unlock()
	e := detail()
	err = failed(capi.Aicp_policy_authorize(set, entities, request, flags, response, e), e)
	if err = r.lookup.outcome(err); err != nil {
		return answer, err
	}
	answer.Allowed = capi.Aicp_policy_response_decision(response) == capi.AICP_POLICY_ALLOW
	if flags&capi.AICP_POLICY_DECISION_ONLY != 0 {
		return answer, nil
	}
	answer.read(response)
	return answer, nil
}

func newResponse() (*handle[capi.PolicyResponse], error) {
	var out *capi.PolicyResponse
	e := detail()
	if err := failed(capi.Aicp_policy_response_new(&out, e), e); err != nil {
		return nil, err
	}
	return hold(out, "PolicyResponse", capi.Aicp_policy_response_free), nil
}

func (a *Authorization) read(p *capi.PolicyResponse) {
	for n := int64(0); n < capi.Aicp_policy_response_reason_count(p); n++ {
		a.Reasons = append(a.Reasons, capi.Text(capi.Aicp_policy_response_reason_id(p, n)))
		a.Indexes = append(a.Indexes, int(capi.Aicp_policy_response_reason_index(p, n)))
	}
	for n := int64(0); n < capi.Aicp_policy_response_error_count(p); n++ {
		a.Failures = append(a.Failures, PolicyFailure{
			ID:      capi.Text(capi.Aicp_policy_response_error_id(p, n)),
			Index:   int(capi.Aicp_policy_response_error_index(p, n)),
			Kind:    capi.Text(capi.Aicp_policy_error_name(capi.Aicp_policy_response_error_kind(p, n))),
			Code:    Code(capi.Aicp_policy_response_error_status(p, n)),
			Message: capi.Text(capi.Aicp_policy_response_error_message(p, n)),
			Line:    int(capi.Aicp_policy_response_error_line(p, n)),
			Column:  int(capi.Aicp_policy_response_error_column(p, n)),
		})
	}
}

// ValidateOptions says how policies are validated. Zero means default: strict.
type ValidateOptions struct {
	Permissive        bool // different types may meet where no wrong use follows from it
	InapplicableWarns bool // only warn of a policy to which no action of the schema applies
	MaxFindings       uint64
}

// PolicyFinding is what the validator found in a policy or template. Line and column count from 1,
// in bytes, the offset from 0.
type PolicyFinding struct {
	Error    bool // else a warning
	Kind     string
	Policy   string
	Index    int // among the policies or, with Template, the templates
	Template bool
	Line     int
	Column   int
	Offset   int
	Message  string
}

// Validation is the validator's report.
type Validation struct {
	Passed    bool
	Truncated bool // there were more findings than are kept
	Findings  []PolicyFinding
}

// Validate checks all policies, templates and links against a schema.
func (s *PolicySet) Validate(schema *Schema, o ValidateOptions) (Validation, error) {
	p, err := s.h.enter()
	if err != nil {
		return Validation{}, err
	}
	defer s.h.leave()
	sp, err := schema.h.enter()
	if err != nil {
		return Validation{}, err
	}
	defer schema.h.leave()
	var c capi.PolicyValidateOptions
	capi.Aicp_policy_validate_options_init(&c, int64(unsafe.Sizeof(c)))
	if o.Permissive {
		c.Flags |= capi.AICP_POLICY_VALIDATE_PERMISSIVE
	}
	if o.InapplicableWarns {
		c.Flags |= capi.AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS
	}
	c.Max_findings = o.MaxFindings
	var report *capi.PolicyReport
	e := detail()
	if err := failed(capi.Aicp_policy_validate(p, sp, &c, &report, e), e); err != nil {
		return Validation{}, err
	}
	defer capi.Aicp_policy_report_free(report)
	v := Validation{
		Passed:    capi.Aicp_policy_report_passed(report) != 0,
		Truncated: capi.Aicp_policy_report_truncated(report) != 0,
		Findings:  make([]PolicyFinding, capi.Aicp_policy_report_count(report)),
	}
	for i := range v.Findings {
		n := int64(i)
		v.Findings[i] = PolicyFinding{
			Error:    capi.Aicp_policy_report_severity(report, n) == capi.AICP_POLICY_SEVERITY_ERROR,
			Kind:     capi.Text(capi.Aicp_policy_finding_name(capi.Aicp_policy_report_kind(report, n))),
			Policy:   capi.Text(capi.Aicp_policy_report_id(report, n)),
			Index:    int(capi.Aicp_policy_report_index(report, n)),
			Template: capi.Aicp_policy_report_is_template(report, n) != 0,
			Line:     int(capi.Aicp_policy_report_line(report, n)),
			Column:   int(capi.Aicp_policy_report_column(report, n)),
			Offset:   int(capi.Aicp_policy_report_offset(report, n)),
			Message:  capi.Text(capi.Aicp_policy_report_message(report, n)),
		}
	}
	return v, nil
}
