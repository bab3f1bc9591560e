package aicp

import (
	"fmt"
	"strings"
	"sync"

	"aicp.dev/go/internal/capi"
)

// Code is a status of the library. It is an error, to be compared with errors.Is.
type Code int32

// Codes. The numbers never change.
const (
	ErrNoMemory        Code = capi.AICP_ERR_NOMEM
	ErrInvalid         Code = capi.AICP_ERR_INVALID
	ErrParse           Code = capi.AICP_ERR_PARSE
	ErrRange           Code = capi.AICP_ERR_RANGE
	ErrLimit           Code = capi.AICP_ERR_LIMIT
	ErrNotFound        Code = capi.AICP_ERR_NOT_FOUND
	ErrExists          Code = capi.AICP_ERR_EXISTS
	ErrState           Code = capi.AICP_ERR_STATE
	ErrIO              Code = capi.AICP_ERR_IO
	ErrTimeout         Code = capi.AICP_ERR_TIMEOUT
	ErrWouldBlock      Code = capi.AICP_ERR_WOULD_BLOCK
	ErrUnsupported     Code = capi.AICP_ERR_UNSUPPORTED
	ErrCallback        Code = capi.AICP_ERR_CALLBACK
	ErrCrypto          Code = capi.AICP_ERR_CRYPTO
	ErrNetConnect      Code = capi.AICP_ERR_NET_CONNECT
	ErrNetTLS          Code = capi.AICP_ERR_NET_TLS
	ErrNetForbidden    Code = capi.AICP_ERR_NET_FORBIDDEN
	ErrNetHTTP         Code = capi.AICP_ERR_NET_HTTP
	ErrPolicyType      Code = capi.AICP_ERR_POLICY_TYPE
	ErrPolicyEntity    Code = capi.AICP_ERR_POLICY_ENTITY
	ErrPolicyExtension Code = capi.AICP_ERR_POLICY_EXTENSION
	ErrPolicyOverflow  Code = capi.AICP_ERR_POLICY_OVERFLOW
	ErrPolicyDepth     Code = capi.AICP_ERR_POLICY_DEPTH
	ErrRateLimited     Code = capi.AICP_ERR_RATE_LIMITED
	ErrTooLarge        Code = capi.AICP_ERR_TOO_LARGE
	ErrGuardTime       Code = capi.AICP_ERR_GUARD_TIME
	ErrGuardPattern    Code = capi.AICP_ERR_GUARD_PATTERN
	ErrUnknownModel    Code = capi.AICP_ERR_UNKNOWN_MODEL
	ErrUnknownPrice    Code = capi.AICP_ERR_UNKNOWN_PRICE
	ErrSpecialToken    Code = capi.AICP_ERR_SPECIAL_TOKEN
	ErrStore           Code = capi.AICP_ERR_STORE
	ErrStoreBusy       Code = capi.AICP_ERR_STORE_BUSY
	ErrConstraint      Code = capi.AICP_ERR_CONSTRAINT
	ErrBudgetExceeded  Code = capi.AICP_ERR_BUDGET_EXCEEDED
	ErrExistsDifferent Code = capi.AICP_ERR_EXISTS_DIFFERENT
	ErrAlreadyPosted   Code = capi.AICP_ERR_ALREADY_POSTED
	ErrAlreadyVoided   Code = capi.AICP_ERR_ALREADY_VOIDED
	ErrFrozen          Code = capi.AICP_ERR_FROZEN
	ErrLiteLLMAuth     Code = capi.AICP_ERR_LITELLM_AUTH
	ErrLiteLLMRequest  Code = capi.AICP_ERR_LITELLM_REQUEST
	ErrLiteLLMServer   Code = capi.AICP_ERR_LITELLM_SERVER
	ErrBundle          Code = capi.AICP_ERR_BUNDLE
	ErrCorrupt         Code = capi.AICP_ERR_CORRUPT
)

// Name is the code's name in C without its prefix, e.g. "ERR_PARSE".
func (c Code) Name() string { return capi.Text(capi.Aicp_status_name(int(c))) }

// Error is a short text of the code.
func (c Code) Error() string { return capi.Text(capi.Aicp_status_text(int(c))) }

// Error is a failed call: what went wrong and, for texts, where. Line and Column count from 1, columns in bytes;
// Offset counts bytes from 0. Line 0 means that no place applies.
type Error struct {
	Code    Code
	Message string
	Line    int
	Column  int
	Offset  uint64

	cause error // of the caller: the end of a context, what a callback returned
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("aicp: line %d, column %d: %s", e.Line, e.Column, e.Message)
	}
	return "aicp: " + e.Message
}

// Is tells whether target is the error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap is what ended the call on the caller's side: the context's error, or what a callback returned.
func (e *Error) Unwrap() error { return e.cause }

var details = sync.Pool{New: func() any { return new(capi.Error) }}

// detail is where a call of the library tells more about its error; failed gives it back.
func detail() *capi.Error { return details.Get().(*capi.Error) }

// failed makes the error of a call, nil for one that went well.
func failed(status int, e *capi.Error) error {
	if status == capi.AICP_OK {
		details.Put(e)
		return nil
	}
	err := &Error{Code: Code(status)}
	if int(e.Code) == status {
		err.Message = capi.Field(e.Message[:])
		err.Line, err.Column, err.Offset = int(e.Line), int(e.Column), e.Offset
	}
	if err.Message == "" {
		err.Message = err.Code.Error()
	}
	*e = capi.Error{}
	details.Put(e)
	return err
}

func closed(what string) error {
	return &Error{Code: ErrState, Message: "this " + what + " is closed"}
}

// noNUL refuses a text that C would take for a shorter one.
func noNUL(what string, texts ...string) error {
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return &Error{Code: ErrInvalid, Message: what + " must not contain a NUL character"}
		}
	}
	return nil
}
