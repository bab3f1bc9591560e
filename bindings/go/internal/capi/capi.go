// Package capi is the C library as it is. Only package aicp uses it.
//
// aicp.go, aicp_wrap.c and records.go are made by scripts/go_binding.py. A text given to a function is read
// during the call only; a function that keeps texts (aicp_cost_request_*) gets texts in memory of C.
package capi

/*
#cgo pkg-config: aicp
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern int32_t aicpGoEvent(uintptr_t user, char *data, size_t len);
extern int32_t aicpGoLookup(uintptr_t user, char *type, size_t type_len, char *id, size_t id_len, void *found,
	void *err);
extern void aicpGoRelease(uintptr_t user);
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Text copies a NUL-terminated text of the library; nil gives "".
func Text(p *byte) string {
	return C.GoString((*C.char)(unsafe.Pointer(p)))
}

// Field reads a text in an array of chars that ends at its first NUL.
func Field(chars []int8) string {
	b := make([]byte, 0, len(chars))
	for _, c := range chars {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

// Bytes copies n bytes of the library; nil gives nil.
func Bytes(p *byte, n uint64) []byte {
	if p == nil {
		return nil
	}
	return append(make([]byte, 0, n), unsafe.Slice(p, int(n))...)
}

// Take copies what the library put into the buffer and frees it; nil when there is nothing.
func (b *Buf) Take() []byte {
	if b.Data == nil {
		return nil
	}
	out := Bytes((*byte)(unsafe.Pointer(b.Data)), b.Len)
	Aicp_buf_free(b)
	return out
}

// View is b as a text that shares its bytes, for a call that only reads it.
func View(b []byte) string {
	return *(*string)(unsafe.Pointer(&b))
}

// Memory is memory of C that holds what a structure points to, since memory of Go must not.
type Memory struct {
	start unsafe.Pointer
	size  int
	used  int
}

const align = 8

// Room makes a memory with room for size bytes; each Put takes up to 7 more.
func Room(size int) *Memory {
	m := &Memory{size: size + align}
	m.start = C.malloc(C.size_t(m.size)) // cgo's malloc ends the program when there is none
	return m
}

// Free gives the memory back.
func (m *Memory) Free() {
	C.free(m.start)
	m.start, m.size, m.used = nil, 0, 0
}

// Size is how many bytes the memory has.
func (m *Memory) Size() int { return m.size }

// Reset empties the memory.
func (m *Memory) Reset() { m.used = 0 }

// Raw takes n bytes, aligned for any structure.
func (m *Memory) Raw(n int) unsafe.Pointer {
	at := (m.used + align - 1) &^ (align - 1)
	if n < 0 || at+n > m.size {
		panic("aicp: no room: the size was counted wrong")
	}
	m.used = at + n
	return unsafe.Add(m.start, at)
}

// Put copies a text, with a NUL behind it.
func (m *Memory) Put(text string) *int8 {
	p := m.Raw(len(text) + 1)
	to := unsafe.Slice((*byte)(p), len(text)+1)
	copy(to, text)
	to[len(text)] = 0
	return (*int8)(p)
}

// Keep copies a text into memory of its own, to be freed with Drop.
func Keep(text string) string {
	p := C.malloc(C.size_t(len(text) + 1))
	copy(unsafe.Slice((*byte)(p), len(text)), text)
	kept := unsafe.Slice((*byte)(p), len(text)+1)[:len(text)]
	return View(kept)
}

// Drop frees a text made by Keep.
func Drop(kept string) {
	C.free(*(*unsafe.Pointer)(unsafe.Pointer(&kept)))
}

// Events gets the events of a stream. What it returns ends the stream.
type Events func(data []byte) error

// Stream is a call of Aicp_litellm_stream_go with a function of Go.
func Stream(client *LiteLLM, path, body string, fn Events, reply *LiteLLMReply, err *Error) (int, error) {
	state := &stream{fn: fn}
	h := cgo.NewHandle(state)
	defer h.Delete()
	status := Aicp_litellm_stream_go(client, path, body, uint64(h), reply, err)
	if state.panicked {
		panic(state.value)
	}
	return status, state.err
}

type stream struct {
	fn       Events
	err      error
	panicked bool
	value    any
}

// call keeps a panic of the function for later: it must not unwind the frames of C.
func (s *stream) call(data []byte) (ok bool) {
	defer func() {
		if !ok && s.err == nil {
			s.panicked, s.value = true, recover()
		}
	}()
	s.err = s.fn(data)
	return s.err == nil
}

//export aicpGoEvent
func aicpGoEvent(user C.uintptr_t, data *C.char, n C.size_t) C.int32_t {
	if cgo.Handle(user).Value().(*stream).call(Bytes((*byte)(unsafe.Pointer(data)), uint64(n))) {
		return 0
	}
	return 1
}

// Lookup gets what names an entity and gives its JSON with Aicp_policy_found_json.
type Lookup func(kind, id string, found *PolicyFound, err *Error) int

// SetLookup is Aicp_policy_request_set_lookup with a function of Go, which must not panic; nil for none.
func SetLookup(request *PolicyRequest, fn Lookup, err *Error) int {
	if fn == nil {
		return Aicp_policy_request_set_lookup_go(request, 0, err)
	}
	return Aicp_policy_request_set_lookup_go(request, uint64(cgo.NewHandle(fn)), err)
}

//export aicpGoLookup
func aicpGoLookup(user C.uintptr_t, kind *C.char, kindLen C.size_t, id *C.char, idLen C.size_t,
	found, err unsafe.Pointer) C.int32_t {
	fn := cgo.Handle(user).Value().(Lookup)
	return C.int32_t(fn(
		string(Bytes((*byte)(unsafe.Pointer(kind)), uint64(kindLen))),
		string(Bytes((*byte)(unsafe.Pointer(id)), uint64(idLen))),
		(*PolicyFound)(found), (*Error)(err)))
}

//export aicpGoRelease
func aicpGoRelease(user C.uintptr_t) {
	cgo.Handle(user).Delete()
}
