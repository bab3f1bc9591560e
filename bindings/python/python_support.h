/* What the typemaps of python.i call: texts, errors, and structures to and from dictionaries.
 * Included once, into the generated wrapper. */
#ifndef AICP_PYTHON_SUPPORT_H
#define AICP_PYTHON_SUPPORT_H

/* ---- texts ----------------------------------------------------------------------------------- */

typedef struct py_text {
    const char *data;
    size_t len;
    char *copy; /* of a buffer that could change while C reads it */
} py_text;

/* str and bytes are used in place: they cannot change and the caller's arguments hold them. */
static int py_text_get(PyObject *o, py_text *out) {
    Py_ssize_t n = 0;
    if (PyUnicode_Check(o)) {
        out->data = PyUnicode_AsUTF8AndSize(o, &n);
        out->len = (size_t)n;
        return out->data != NULL ? 0 : -1;
    }
    if (PyBytes_Check(o)) {
        out->data = PyBytes_AS_STRING(o);
        out->len = (size_t)PyBytes_GET_SIZE(o);
        return 0;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE) != 0) {
        PyErr_Format(
            PyExc_TypeError, "text must be str or bytes-like, not %.100s", Py_TYPE(o)->tp_name);
        return -1;
    }
    out->copy = PyMem_Malloc((size_t)view.len + 1);
    if (out->copy == NULL) {
        PyBuffer_Release(&view);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(out->copy, view.buf, (size_t)view.len);
    out->data = out->copy;
    out->len = (size_t)view.len;
    PyBuffer_Release(&view);
    return 0;
}

static void py_text_release(py_text *text) {
    PyMem_Free(text->copy);
    text->copy = NULL;
}

/* A NUL-terminated text; NULL with an exception set when there is a NUL inside. */
static const char *py_string_get(PyObject *o) {
    Py_ssize_t n = 0;
    const char *data = NULL;
    if (PyUnicode_Check(o)) {
        data = PyUnicode_AsUTF8AndSize(o, &n);
    } else {
        PyErr_Format(PyExc_TypeError, "text must be str, not %.100s", Py_TYPE(o)->tp_name);
    }
    if (data != NULL && strlen(data) != (size_t)n) {
        PyErr_SetString(PyExc_ValueError, "text must not contain a NUL character");
        data = NULL;
    }
    return data;
}

static PyObject *py_text_or_none(const char *data, size_t len) {
    if (data == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeUTF8(data, (Py_ssize_t)len, "replace");
}

static PyObject *py_string_or_none(const char *data) {
    return py_text_or_none(data, data != NULL ? strlen(data) : 0);
}

typedef struct py_texts {
    const char **items;
    size_t *lens;
    size_t count;
    py_text *texts;
    PyObject *list; /* holds the items while C reads them */
} py_texts;

static void py_texts_release(py_texts *t) {
    for (size_t i = 0; t->texts != NULL && i < t->count; i++) {
        py_text_release(&t->texts[i]);
    }
    PyMem_Free(t->items);
    PyMem_Free(t->lens);
    PyMem_Free(t->texts);
    Py_CLEAR(t->list);
    memset(t, 0, sizeof *t);
}

static int py_texts_get(PyObject *o, py_texts *t) {
    if (PyUnicode_Check(o) || PyBytes_Check(o)) {
        PyErr_SetString(PyExc_TypeError, "a sequence of texts is expected, not one text");
        return -1;
    }
    t->list = PySequence_Tuple(o);
    if (t->list == NULL) {
        return -1;
    }
    size_t n = (size_t)PyTuple_GET_SIZE(t->list);
    t->items = PyMem_Calloc(n + 1, sizeof *t->items);
    t->lens = PyMem_Calloc(n + 1, sizeof *t->lens);
    t->texts = PyMem_Calloc(n + 1, sizeof *t->texts);
    if (t->items == NULL || t->lens == NULL || t->texts == NULL) {
        py_texts_release(t);
        PyErr_NoMemory();
        return -1;
    }
    t->count = n;
    for (size_t i = 0; i < n; i++) {
        if (py_text_get(PyTuple_GET_ITEM(t->list, (Py_ssize_t)i), &t->texts[i]) != 0) {
            py_texts_release(t);
            return -1;
        }
        t->items[i] = t->texts[i].data;
        t->lens[i] = t->texts[i].len;
    }
    return 0;
}

static int py_ids_get(PyObject *o, uint32_t **out, size_t *count) {
    PyObject *list = PySequence_Tuple(o);
    if (list == NULL) {
        return -1;
    }
    size_t n = (size_t)PyTuple_GET_SIZE(list);
    uint32_t *ids = PyMem_Calloc(n + 1, sizeof *ids);
    for (size_t i = 0; ids != NULL && i < n; i++) {
        unsigned long value = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(list, (Py_ssize_t)i));
        if (PyErr_Occurred() != NULL || value > UINT32_MAX) {
            if (PyErr_Occurred() == NULL) {
                PyErr_SetString(PyExc_OverflowError, "token id is larger than 32 bits");
            }
            PyMem_Free(ids);
            ids = NULL;
        } else {
            ids[i] = (uint32_t)value;
        }
    }
    Py_DECREF(list);
    if (ids == NULL) {
        return PyErr_Occurred() != NULL ? -1 : (PyErr_NoMemory(), -1);
    }
    *out = ids;
    *count = n;
    return 0;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static PyObject *py_error_maker; /* Python callable: (code, name, message, line, column, offset) */
static _Thread_local aicp_error py_error;

static aicp_error *py_error_slot(void) {
    aicp_error_clear(&py_error);
    return &py_error;
}

/* Raises the exception for a failed call; details come from the slot when the call had one. What a
 * callback has raised comes first. */
static void py_raise(aicp_status status) {
    const aicp_error *e = &py_error;
    if (PyErr_Occurred() != NULL) {
        return;
    }
    const char *message = aicp_status_text(status);
    bool detailed = e->code == status && e->message[0] != '\0';
    if (py_error_maker == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s: %s", aicp_status_name(status), message);
        return;
    }
    const char *text = detailed ? e->message : message;
    PyObject *error = PyObject_CallFunction(
        py_error_maker,
        "isN(kkK)",
        (int)status,
        aicp_status_name(status),
        PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"),
        detailed ? (unsigned long)e->line : 0UL,
        detailed ? (unsigned long)e->column : 0UL,
        detailed ? (unsigned long long)e->offset : 0ULL);
    aicp_error_clear(&py_error);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static PyObject *py_set_error_maker(PyObject *self, PyObject *maker) {
    (void)self;
    if (!PyCallable_Check(maker)) {
        PyErr_SetString(PyExc_TypeError, "a callable is expected");
        return NULL;
    }
    Py_INCREF(maker);
    Py_XSETREF(py_error_maker, maker);
    Py_RETURN_NONE;
}

static PyMethodDef py_error_methods[] = {
    {"set_error_maker", py_set_error_maker, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int py_init_error(PyObject *module) {
    return PyModule_AddFunctions(module, py_error_methods);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

/* `user` is a Python callable that the call's arguments hold. */
static int32_t py_litellm_event(void *user, const char *data, size_t len) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result = PyObject_CallFunction((PyObject *)user, "y#", data, (Py_ssize_t)len);
    int32_t stop = result == NULL ? 1 : 0;
    Py_XDECREF(result);
    PyGILState_Release(state);
    return stop;
}

/* `user` is a Python callable that the request holds. */
static aicp_status py_policy_lookup(
    void *user,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_policy_found *found,
    aicp_error *err) {
    PyGILState_STATE state = PyGILState_Ensure();
    py_text text = {0};
    aicp_status status = AICP_OK;
    PyObject *json = PyObject_CallFunction(
        (PyObject *)user, "s#s#", type, (Py_ssize_t)type_len, id, (Py_ssize_t)id_len);
    if (json == NULL || (json != Py_None && py_text_get(json, &text) != 0)) {
        status = AICP_ERR_CALLBACK;
    } else if (json != Py_None) {
        status = aicp_policy_found_json(found, text.data, text.len, err);
    }
    py_text_release(&text);
    Py_XDECREF(json);
    PyGILState_Release(state);
    return status;
}

static void py_policy_release(void *user) {
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)user);
    PyGILState_Release(state);
}

/* ---- structures ------------------------------------------------------------------------------ */

typedef enum py_kind {
    PY_I32,
    PY_U32,
    PY_I64,
    PY_U64,
    PY_DOUBLE,
    PY_STRING, /* const char *, borrowed from the str */
    PY_CHARS,  /* char[] inside the structure */
    PY_BYTES,  /* unsigned char[32] inside the structure */
    PY_HANDLE,
    PY_TEXT,      /* const char * and size_t beside it, borrowed from the str or bytes */
    PY_I32_LIST,  /* const int32_t * and size_t beside it, made for the call */
    PY_I64_LIST,  /* const int64_t * and size_t beside it, made for the call */
    PY_TEXT_LIST, /* const aicp_ledger_text * and size_t beside it; the texts are borrowed */
    PY_RECORD,    /* another structure inside */
    PY_SKIP
} py_kind;

typedef struct py_field {
    const char *name;
    size_t offset;
    size_t count; /* of an array, else 1 */
    py_kind kind;
    size_t len_offset; /* of the size_t that belongs to it */
    swig_type_info **handle;
    const struct py_field *record;
} py_field;

#define PY_KIND(value)                                                                             \
    _Generic((value),                                                                              \
        int32_t: PY_I32,                                                                           \
        uint32_t: PY_U32,                                                                          \
        int64_t: PY_I64,                                                                           \
        uint64_t: PY_U64,                                                                          \
        double: PY_DOUBLE,                                                                         \
        const char *: PY_STRING,                                                                   \
        char *: PY_CHARS,                                                                          \
        unsigned char *: PY_BYTES)
#define PY_BYTES_SIZE 32
#define F(T, f)                                                                                    \
    { #f, offsetof(T, f), 1, PY_KIND(((T *)0)->f), 0, NULL, NULL }
#define FA(T, f)                                                                                   \
    {                                                                                              \
#f, offsetof(T, f), sizeof(((T *)0)->f) / sizeof(((T *)0)->f[0]), PY_KIND(((T *)0)->f[0]), \
            0, NULL, NULL                                                                          \
    }
#define FH(T, f, type)                                                                             \
    { #f, offsetof(T, f), 1, PY_HANDLE, 0, &type, NULL }
#define FR(T, f, table)                                                                            \
    { #f, offsetof(T, f), 1, PY_RECORD, 0, NULL, table }
#define FT(T, f)                                                                                   \
    { #f, offsetof(T, f), 1, PY_TEXT, offsetof(T, f##_len), NULL, NULL }
#define FL(T, f, kind)                                                                             \
    { #f, offsetof(T, f), 1, kind, offsetof(T, f##_count), NULL, NULL }
#define FEND                                                                                       \
    { NULL, 0, 0, PY_SKIP, 0, NULL, NULL }

/* A list for C out of a tuple, whose texts are borrowed. Given back by py_record_release(). */
static void *py_store_list(py_kind kind, PyObject *value, size_t *count) {
    if (!PyTuple_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "a tuple is expected");
        return NULL;
    }
    size_t n = (size_t)PyTuple_GET_SIZE(value);
    char *items = PyMem_Calloc(n + 1, sizeof(aicp_ledger_text));
    if (items == NULL) {
        PyErr_NoMemory();
    }
    for (size_t i = 0; items != NULL && i < n && PyErr_Occurred() == NULL; i++) {
        PyObject *item = PyTuple_GET_ITEM(value, (Py_ssize_t)i);
        if (kind == PY_TEXT_LIST) {
            Py_ssize_t len = 0;
            aicp_ledger_text *text = (aicp_ledger_text *)(void *)items + i;
            text->data = PyUnicode_AsUTF8AndSize(item, &len);
            text->len = (size_t)len;
        } else if (!PyLong_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "a tuple of whole numbers is expected");
        } else if (kind == PY_I64_LIST) {
            ((int64_t *)(void *)items)[i] = PyLong_AsLongLong(item);
        } else {
            long number = PyLong_AsLong(item);
            if (number < INT32_MIN || number > INT32_MAX) {
                PyErr_SetString(PyExc_OverflowError, "a number of the tuple is out of range");
            }
            ((int32_t *)(void *)items)[i] = (int32_t)number;
        }
    }
    *count = n;
    return items;
}

/* Frees the lists that py_record_fill() made in a structure. */
static void py_record_release(const py_field *table, void *record) {
    for (const py_field *f = table; f->name != NULL; f++) {
        if (f->kind == PY_I32_LIST || f->kind == PY_I64_LIST || f->kind == PY_TEXT_LIST) {
            void **at = (void **)(void *)((char *)record + f->offset);
            PyMem_Free(*at);
            *at = NULL;
        }
    }
}

static void py_store_number(const py_field *field, PyObject *value, void *at) {
    bool signed_kind = field->kind == PY_I32 || field->kind == PY_I64;
    /* Nothing else, so that no code of the caller runs in the middle of the loop over its dict. */
    if (!PyLong_Check(value) && !(field->kind == PY_DOUBLE && PyFloat_Check(value))) {
        PyErr_Format(
            PyExc_TypeError,
            "%s must be a number, not %.100s",
            field->name,
            Py_TYPE(value)->tp_name);
        return;
    }
    if (field->kind == PY_DOUBLE) {
        memcpy(at, &(double){PyFloat_AsDouble(value)}, sizeof(double));
        return;
    }
    int64_t number = signed_kind ? PyLong_AsLongLong(value) : 0;
    uint64_t natural = signed_kind ? 0 : PyLong_AsUnsignedLongLong(value);
    if ((field->kind == PY_I32 && (number < INT32_MIN || number > INT32_MAX)) ||
        (field->kind == PY_U32 && natural > UINT32_MAX)) {
        PyErr_Format(PyExc_OverflowError, "%s is out of range", field->name);
    } else if (field->kind == PY_I32) {
        memcpy(at, &(int32_t){(int32_t)number}, sizeof(int32_t));
    } else if (field->kind == PY_U32) {
        memcpy(at, &(uint32_t){(uint32_t)natural}, sizeof(uint32_t));
    } else if (field->kind == PY_I64) {
        memcpy(at, &number, sizeof number);
    } else {
        memcpy(at, &natural, sizeof natural);
    }
}

static int py_store(const py_field *field, PyObject *value, void *record) {
    void *at = (char *)record + field->offset;
    switch (field->kind) {
    case PY_I32:
    case PY_I64:
    case PY_U32:
    case PY_U64:
    case PY_DOUBLE:
        py_store_number(field, value, at);
        break;
    case PY_STRING: {
        const char *text = py_string_get(value);
        memcpy(at, &text, sizeof text);
        break;
    }
    case PY_BYTES:
        if (!PyBytes_Check(value) || PyBytes_GET_SIZE(value) != PY_BYTES_SIZE) {
            PyErr_Format(PyExc_ValueError, "%s must be %d bytes", field->name, PY_BYTES_SIZE);
        } else {
            memcpy(at, PyBytes_AS_STRING(value), PY_BYTES_SIZE);
        }
        break;
    case PY_HANDLE: {
        void *handle = NULL;
        if (!SWIG_IsOK(SWIG_ConvertPtr(value, &handle, *field->handle, 0)) || handle == NULL) {
            PyErr_Format(PyExc_TypeError, "%s has the wrong type", field->name);
        }
        memcpy(at, &handle, sizeof handle);
        break;
    }
    case PY_TEXT: {
        Py_ssize_t len = 0;
        const char *text =
            PyBytes_Check(value) ? PyBytes_AS_STRING(value) : PyUnicode_AsUTF8AndSize(value, &len);
        len = PyBytes_Check(value) ? PyBytes_GET_SIZE(value) : len;
        memcpy(at, &text, sizeof text);
        memcpy((char *)record + field->len_offset, &(size_t){(size_t)len}, sizeof(size_t));
        break;
    }
    case PY_I32_LIST:
    case PY_I64_LIST:
    case PY_TEXT_LIST: {
        size_t count = 0;
        void *items = py_store_list(field->kind, value, &count);
        memcpy(at, &items, sizeof items);
        memcpy((char *)record + field->len_offset, &count, sizeof count);
        break;
    }
    default:
        PyErr_Format(PyExc_TypeError, "%s cannot be set", field->name);
    }
    return PyErr_Occurred() != NULL ? -1 : 0;
}

/* Fills a structure from a dictionary. The values are borrowed: the caller keeps the dictionary and
 * does not change it during the call. An unknown key is an error that names it. */
static int py_record_fill(PyObject *dict, const py_field *table, void *record) {
    PyObject *key = NULL;
    PyObject *value = NULL;
    Py_ssize_t at = 0;
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "a dict is expected, not %.100s", Py_TYPE(dict)->tp_name);
        return -1;
    }
    while (PyDict_Next(dict, &at, &key, &value)) {
        const py_field *field = table;
        while (field->name != NULL &&
               !(PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, field->name) == 0)) {
            field++;
        }
        if (field->name == NULL) {
            PyErr_Format(PyExc_TypeError, "unknown option %R", key);
            return -1;
        }
        if (value != Py_None && py_store(field, value, record) != 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *py_record_dict(const py_field *table, const void *record);

static PyObject *py_load(const py_field *field, const char *at) {
    switch (field->kind) {
    case PY_I32:
        return PyLong_FromLong(*(const int32_t *)at);
    case PY_U32:
        return PyLong_FromUnsignedLong(*(const uint32_t *)at);
    case PY_I64:
        return PyLong_FromLongLong(*(const int64_t *)at);
    case PY_U64:
        return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case PY_DOUBLE:
        return PyFloat_FromDouble(*(const double *)at);
    case PY_STRING:
        return py_string_or_none(*(const char *const *)at);
    case PY_CHARS:
        return py_string_or_none(at);
    case PY_RECORD:
        return py_record_dict(field->record, at);
    default:
        Py_RETURN_NONE;
    }
}

static size_t py_kind_size(py_kind kind) {
    return kind == PY_I32 || kind == PY_U32 ? 4 : 8;
}

static PyObject *py_load_array(const py_field *field, const char *at) {
    PyObject *list = PyList_New((Py_ssize_t)field->count);
    for (size_t i = 0; list != NULL && i < field->count; i++) {
        PyObject *item = py_load(field, at + i * py_kind_size(field->kind));
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *py_record_dict(const py_field *table, const void *record) {
    PyObject *dict = PyDict_New();
    for (const py_field *f = table; dict != NULL && f->name != NULL; f++) {
        const char *at = (const char *)record + f->offset;
        PyObject *value = f->count > 1 ? py_load_array(f, at) : py_load(f, at);
        if (value == NULL || PyDict_SetItemString(dict, f->name, value) != 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *
py_record_list(const py_field *table, const void *records, size_t size, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = py_record_dict(table, (const char *)records + i * size);
        if (item == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

/* ---- rate limits ----------------------------------------------------------------------------- */

#define PY_LIMIT_VALUES_MAX 64

typedef struct py_limit_request {
    aicp_limit_request request;
    aicp_limit_value values[PY_LIMIT_VALUES_MAX];
} py_limit_request;

/* The texts are borrowed from `o`, a tuple of tuples, which nothing can change during the call. */
static int py_limit_request_get(PyObject *o, py_limit_request *out) {
    PyObject *values = NULL;
    unsigned long long n[4] = {0};
    aicp_limit_request_init(&out->request, sizeof out->request);
    if (!PyTuple_Check(o)) {
        PyErr_SetString(PyExc_TypeError, "a tuple is expected");
        return -1;
    }
    if (!PyArg_ParseTuple(
            o,
            "O!KKKKI",
            &PyTuple_Type,
            &values,
            &n[0],
            &n[1],
            &n[2],
            &n[3],
            &out->request.flags)) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(values);
    if (count > PY_LIMIT_VALUES_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many dimension values");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(values, i);
        Py_ssize_t len = 0;
        int dimension = 0;
        aicp_limit_value *value = &out->values[i];
        if (!PyTuple_Check(item) ||
            !PyArg_ParseTuple(item, "is#", &dimension, &value->data, &len)) {
            if (PyErr_Occurred() == NULL) {
                PyErr_SetString(PyExc_TypeError, "a value must be (dimension, text)");
            }
            return -1;
        }
        value->dimension = dimension;
        value->reserved = 0;
        value->len = (size_t)len;
    }
    out->request.values = out->values;
    out->request.value_count = (size_t)count;
    out->request.tokens = n[0];
    out->request.now_ns = n[1];
    out->request.deadline_ns = n[2];
    out->request.slot_ttl_ns = n[3];
    return 0;
}

#endif
