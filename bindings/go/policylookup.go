package aicp

import (
	"errors"

	"aicp.dev/go/internal/capi"
)

// EntityLookup fetches an entity that lives elsewhere: its JSON, as an element of what ParseEntities reads, or nil when
// there is no such entity.
type EntityLookup func(uid EntityUID) ([]byte, error)

// lookup is an EntityLookup with what came of it.
type lookup struct {
	find     EntityLookup
	err      error
	panicked bool
	value    any
}

// Lookup lets find give entities that neither the request nor the store holds. It is called at most once for each until
// Reset. What it returns as an error is the cause of the error of the call that asked. It must not use this request.
func (r *PolicyRequest) Lookup(find EntityLookup) error {
	var l *lookup
	var fn capi.Lookup
	if find != nil {
		l = &lookup{find: find}
		fn = l.call
	}
	err := r.with(func(p *capi.PolicyRequest, e *capi.Error) int { return capi.SetLookup(p, fn, e) })
	if err == nil {
		r.lookup = l
	}
	return err
}

// call keeps a panic of the function for later: it must not unwind the frames of C.
func (l *lookup) call(kind, id string, found *capi.PolicyFound, e *capi.Error) (status int) {
	fine := false
	defer func() {
		if !fine {
			l.panicked, l.value = true, recover()
			status = capi.AICP_ERR_CALLBACK
		}
	}()
	data, err := l.find(EntityUID{kind, id})
	fine = true
	if err != nil {
		l.err = err
		text := err.Error()
		for i := 0; i < len(text) && i < len(e.Message)-1; i++ {
			e.Message[i] = int8(text[i])
		}
		return capi.AICP_ERR_CALLBACK
	}
	if data == nil {
		return capi.AICP_OK
	}
	return capi.Aicp_policy_found_json(found, capi.View(data), e)
}

// outcome adds what the function returned to the error of a call that asked it.
func (l *lookup) outcome(err error) error {
	if l == nil {
		return err
	}
	if l.panicked {
		l.panicked = false
		panic(l.value)
	}
	var e *Error
	if l.err != nil && errors.As(err, &e) && e.Code == ErrCallback {
		e.cause = l.err
	}
	l.err = nil
	return err
}
