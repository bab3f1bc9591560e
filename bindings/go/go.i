/* Go: the functions as they are in package capi, which only the Go layer sees. Texts go to C in place, as
 * Go strings; structures are Go structures of the same layout (records.go, made by cgo); handles are
 * typed pointers to C memory. No call copies an input and none keeps a pointer into Go's memory. */

/* Constants and members of structures stand in records.go. The list of their names is taken of a run of
 * SWIG in which they are not left out. */
#ifndef AICP_GO_NAMES
%rename("$ignore", %$isenumitem) "";
%rename("$ignore", %$isconstant) "";
#endif

/* ---- texts ------------------------------------------------------------------------------------ */
%define AICP_TEXT(DATA, LEN)
%apply (char *STRING, size_t LENGTH) { (const char *DATA, size_t LEN) };
%enddef
AICP_TEXT(data, len)
AICP_TEXT(type, type_len)
AICP_TEXT(id, id_len)
AICP_TEXT(role, role_len)
AICP_TEXT(key, key_len)
AICP_TEXT(value, value_len)
AICP_TEXT(name, name_len)
AICP_TEXT(url, url_len)

/* Texts of the library: a pointer that the layer copies from, nil for NULL. */
%typemap(gotype) const char * "*byte"
%typemap(in) const char * { $1 = *(char **)&$input; }
%typemap(freearg) const char * ""
%typemap(out) const char * { *(const char **)&$result = $1; }
%typemap(goout) const char * ""

/* NUL-terminated texts in: copied, because Go's strings have no NUL at their end. The layer refuses a text
 * with a NUL inside. */
%define AICP_NUL_TEXT(NAME)
%typemap(gotype) const char *NAME "string"
%typemap(in) const char *NAME {
    $1 = malloc((size_t)$input.n + 1);
    if ($1 != NULL) {
        memcpy($1, $input.p, (size_t)$input.n);
        $1[$input.n] = '\0';
    }
}
%typemap(freearg) const char *NAME { free($1); }
%enddef
AICP_NUL_TEXT(name)
AICP_NUL_TEXT(key)
AICP_NUL_TEXT(type)
AICP_NUL_TEXT(id)
AICP_NUL_TEXT(path)
AICP_NUL_TEXT(version)
AICP_NUL_TEXT(method)

/* A list of token ids. */
%typemap(gotype) (const uint32_t *ids, size_t ids_len) "[]uint32"
%typemap(in) (const uint32_t *ids, size_t ids_len) {
    $1 = (uint32_t *)$input.array;
    $2 = (size_t)$input.len;
}

/* ---- numbers out: Go types of the same size ---------------------------------------------------- */
%typemap(gotype) int32_t * "*int32"
%typemap(gotype) uint32_t * "*uint32"
%typemap(gotype) int64_t * "*int64"
%typemap(gotype) uint64_t * "*uint64"
%typemap(gotype) size_t * "*uint64"
%typemap(gotype) const size_t * "*uint64"
%typemap(gotype) const char ** "**byte"
%typemap(gotype) const char *const * "**byte"
%typemap(gotype) char *out "*byte"
%typemap(in) char *out { $1 = *(char **)&$input; }
%typemap(freearg) char *out ""
%typemap(argout) char *out ""

/* ---- what Go does not set ----------------------------------------------------------------------- */
%typemap(in, numinputs=0) const aicp_allocator *allocator { $1 = NULL; }
%ignore aicp_allocator;
%ignore aicp_clock;
%ignore aicp_log_fn;
%ignore aicp_litellm_event_fn;
%ignore aicp_litellm_trace;

/* ---- handles and structures ---------------------------------------------------------------------- */
%define HANDLE(TYPE)
%enddef
/* C name, Go name; scripts/go_binding.py makes records.go of these lines. */
%define GO_HANDLE(TYPE, NAME)
%typemap(gotype) TYPE *, const TYPE * "*NAME"
%typemap(gotype) TYPE **out, const TYPE **price "**NAME"
%enddef
#ifdef AICP_GO_NAMES
#define LEFT_OUT(TYPE)
#else
#define LEFT_OUT(TYPE) %ignore TYPE;
#endif
%define GO_RECORD(TYPE, NAME)
LEFT_OUT(TYPE)
%typemap(gotype) TYPE *, const TYPE * "*NAME"
%enddef
%include "go/types.i"

/* ---- callbacks ------------------------------------------------------------------------------------ */
%ignore aicp_policy_lookup_fn;
%ignore aicp_policy_release_fn;
%ignore aicp_policy_request_set_lookup;
%ignore aicp_litellm_stream;
%ignore aicp_litellm_chat_stream;
%ignore aicp_litellm_response_stream;
%{
#include <time.h>

/* Exported by capi.go. */
extern int32_t aicpGoEvent(uintptr_t user, char *data, size_t len);
extern int32_t aicpGoLookup(
    uintptr_t user, char *type, size_t type_len, char *id, size_t id_len, void *found, void *err);
extern void aicpGoRelease(uintptr_t user);

static int32_t go_event(void *user, const char *data, size_t len) {
    return aicpGoEvent((uintptr_t)user, (char *)data, len);
}

static aicp_status go_lookup(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    return aicpGoLookup(
        (uintptr_t)user, (char *)type, type_len, (char *)id, id_len, found, err);
}

static void go_release(void *user) {
    aicpGoRelease((uintptr_t)user);
}
%}
%inline %{
/* As aicp_litellm_stream(); each event goes to the Go function of cgo handle `user`. */
static aicp_status aicp_litellm_stream_go(
    aicp_litellm *client,
    const char *path,
    const char *data,
    size_t len,
    uint64_t user,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return aicp_litellm_stream(
        client, path, data, len, go_event, (void *)(uintptr_t)user, reply, err);
}

/* As aicp_policy_request_set_lookup(), with the Go function of cgo handle `user`, which it takes; 0
 * for none. */
static aicp_status aicp_policy_request_set_lookup_go(
    aicp_policy_request *request, uint64_t user, aicp_error *err) {
    return aicp_policy_request_set_lookup(
        request,
        user != 0 ? go_lookup : NULL,
        (void *)(uintptr_t)user,
        user != 0 ? go_release : NULL,
        err);
}

/* Now, on the clock that deadlines are given in. */
static uint64_t aicp_go_monotonic_ns(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A call without a body. */
static aicp_status aicp_litellm_call_bare(
    aicp_litellm *client,
    const char *method,
    const char *path,
    aicp_litellm_reply *reply,
    aicp_error *err) {
    return aicp_litellm_call(client, method, path, NULL, 0, reply, err);
}
%}
