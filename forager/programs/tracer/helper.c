/* The recorder in C. It writes the same bytes as fallback.py, and faster; notation.py, variables.py
 * and writing.py say what each part does. One recording at a time, of all threads.
 *
 * No code of the traced program runs here: values are read from their storage, and nothing but
 * slots of builtin types is called. Variables are read from the frames without `f_locals`, so that
 * nothing is ever copied back. References are kept to exact immutable values only.
 *
 * Built for CPython 3.8 to 3.14 by building.py; free-threaded builds use the fallback. */

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1
#include <Python.h>
#include <frameobject.h>
#include <structmember.h>
#include <time.h>
#include <unistd.h>
#ifdef Py_GIL_DISABLED
#error "frames of other threads change while they are read"
#endif
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
#include <internal/pycore_frame.h>
#define INTERNAL 1
#define KIND_CELL 0x40
#define KIND_FREE 0x80
#endif

enum { MOST_NODES = 2500, LONGEST = 16384, DEEPEST = 12, MOST_OBJECTS = 2, LONGEST_STRING = 2000,
       LONGEST_NAME = 200, MOST_BITS = 2048, EDITED = 64, PATH = 64 };
enum { RETURNS = 1, YIELDS = 2, LOOPS = 4, STARTS = 8, BEFORE = 16 };
enum { GENERATOR = 1, ASYNC_GENERATOR = 3, BLOCK = 4 };

/* Growing bytes */

typedef struct { char *data; size_t size, room; } Text;

static int failed; /* memory ran out */

static void add(Text *text, const char *data, size_t size) {
    if (text->size + size > text->room) {
        size_t room = text->room ? text->room : 256;
        while (room < text->size + size) room *= 2;
        char *grown = PyMem_RawRealloc(text->data, room);
        if (!grown) { failed = 1; return; }
        text->data = grown;
        text->room = room;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
}

static void add_text(Text *text, const char *data) { add(text, data, strlen(data)); }

static void add_byte(Text *text, int byte) {
    char data = (char)byte;
    add(text, &data, 1);
}

static void add_number(Text *text, size_t number) {
    while (number >= 0x80) {
        add_byte(text, (int)(number & 0x7F) | 0x80);
        number >>= 7;
    }
    add_byte(text, (int)number);
}

static void add_string(Text *text, const char *data, size_t size) {
    add_number(text, size);
    add(text, data, size);
}

/* What the recorders are given at the start */

static PyObject *describe, *bit_length, *slots_name, *dict_name, *module_name, *fields_name, *self_name;
static PyTypeObject *deque_type, *default_type, *environ_type;
static unsigned char table[256];
static long cache = -1; /* the instruction that is part of the one before */

/* Snapshots: what a text was made from. A word is a kept value, or the size and type of a
 * container, which is odd. */

typedef struct { PyObject **words; int size, room, valid; } Snapshot;

static void forget(Snapshot *snapshot) {
    for (int at = 0; at < snapshot->size; at++)
        if (!((uintptr_t)snapshot->words[at] & 1)) Py_DECREF(snapshot->words[at]);
    snapshot->size = 0;
}

static void keep(Snapshot *snapshot, PyObject *word) {
    if (!snapshot->valid) return;
    if (snapshot->size == snapshot->room) {
        int room = snapshot->room ? 2 * snapshot->room : 16;
        PyObject **grown = PyMem_RawRealloc(snapshot->words, room * sizeof(PyObject *));
        if (!grown) { snapshot->valid = 0; return; }
        snapshot->words = grown;
        snapshot->room = room;
    }
    if (!((uintptr_t)word & 1)) Py_INCREF(word);
    snapshot->words[snapshot->size++] = word;
}

static PyObject *shape(Py_ssize_t size, int kind) {
    return (PyObject *)(((uintptr_t)size << 3) | ((uintptr_t)kind << 1) | 1);
}

static int is_scalar(PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyFloat_Type ||
           value == Py_None || type == &PyBool_Type || type == &PyBytes_Type ||
           type == &PyComplex_Type || value == Py_Ellipsis || value == Py_NotImplemented;
}

/* Whether a value is as the snapshot has it from a place on; moves the place. */
static int same(PyObject *value, const Snapshot *snapshot, int *at) {
    if (*at >= snapshot->size) return 0;
    PyObject *word = snapshot->words[(*at)++];
    if (word == value) return 1;
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyList_Type || type == &PyTuple_Type) {
        Py_ssize_t size = Py_SIZE(value);
        if (word != shape(size, type == &PyList_Type)) return 0;
        PyObject **items = PySequence_Fast_ITEMS(value);
        for (Py_ssize_t item = 0; item < size; item++)
            if (*at < snapshot->size && snapshot->words[*at] == items[item]) ++*at;
            else if (!same(items[item], snapshot, at)) return 0;
        return 1;
    }
    if (type == &PyDict_Type) {
        if (word != shape(PyDict_GET_SIZE(value), 2)) return 0;
        PyObject *key, *item;
        Py_ssize_t place = 0;
        while (PyDict_Next(value, &place, &key, &item))
            if (!same(key, snapshot, at) || !same(item, snapshot, at)) return 0;
        return 1;
    }
    return 0;
}

/* Values as text */

typedef struct {
    Text *out;
    int nodes, depth, objects;
    PyObject *path[PATH];
    Snapshot *kept;
} Rendering;

static int node(Rendering *to, PyObject *value);

static int full(Rendering *to, Py_ssize_t left) {
    if (to->nodes < MOST_NODES && to->out->size < LONGEST && to->depth <= DEEPEST) return 0;
    char count[32];
    snprintf(count, sizeof count, "<+%zd>", left);
    add_text(to->out, count);
    to->kept->valid = 0;
    return 1;
}

static int add_utf8(Text *out, PyObject *text) {
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data) { add(out, data, size); return 0; }
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    if (!bytes) return -1;
    add(out, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

/* A name that is any instance of str, within its bound. */
static int add_name(Text *out, PyObject *name) {
    if (!name || !PyUnicode_Check(name)) return -1;
    if (PyUnicode_GET_LENGTH(name) <= LONGEST_NAME) return add_utf8(out, name);
    PyObject *start = PyUnicode_Substring(name, 0, LONGEST_NAME);
    int result = start ? add_utf8(out, start) : -1;
    Py_XDECREF(start);
    return result;
}

static const char *last_part(PyTypeObject *type) {
    const char *dot = strrchr(type->tp_name, '.');
    return dot ? dot + 1 : type->tp_name;
}

static int is_heap(PyTypeObject *type) { return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE); }

static int add_type_name(Text *out, PyTypeObject *type) {
    if (is_heap(type)) return add_name(out, ((PyHeapTypeObject *)type)->ht_name);
    add_text(out, last_part(type));
    return 0;
}

static int add_full_name(Text *out, PyTypeObject *type) {
    if (!is_heap(type)) { add_text(out, type->tp_name); return 0; }
    PyObject *module = PyDict_GetItemWithError(type->tp_dict, module_name);
    if (module && PyUnicode_CheckExact(module) &&
        PyUnicode_CompareWithASCIIString(module, "builtins")) {
        if (add_name(out, module)) return -1;
        add_byte(out, '.');
    }
    return add_name(out, ((PyHeapTypeObject *)type)->ht_qualname);
}

static int add_owned(Text *out, PyObject *text) {
    int result = text ? add_utf8(out, text) : -1;
    Py_XDECREF(text);
    return result;
}

static void add_long(Text *out, long long value) {
    char digits[24], *at = digits + sizeof digits;
    unsigned long long left = value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;
    do *--at = (char)('0' + left % 10); while (left /= 10);
    if (value < 0) *--at = '-';
    add(out, at, digits + sizeof digits - at);
}

static int add_integer(Text *out, PyObject *value) {
    int over;
    long long small = PyLong_AsLongLongAndOverflow(value, &over);
    if (!over) { add_long(out, small); return 0; }
    PyObject *found = PyObject_CallFunctionObjArgs(bit_length, value, NULL);
    if (!found) return -1;
    long long bits = PyLong_AsLongLong(found);
    Py_DECREF(found);
    if (bits <= MOST_BITS) return add_owned(out, PyLong_Type.tp_repr(value));
    char text[96];
    snprintf(text, sizeof text, "<int of %lld bits, hash %zd>", bits,
             (Py_ssize_t)PyLong_Type.tp_hash(value));
    add_text(out, text);
    return 0;
}

static int add_float(Text *out, PyObject *value) {
    char *text = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text) return -1;
    add_text(out, text);
    PyMem_Free(text);
    return 0;
}

static void add_left_out(Text *out, Py_ssize_t length) {
    char count[32];
    snprintf(count, sizeof count, "<+%zd>", length - LONGEST_STRING);
    add_text(out, count);
}

static int add_str(Text *out, PyObject *value) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(value);
    if (length > LONGEST_STRING) {
        PyObject *start = PyUnicode_Substring(value, 0, LONGEST_STRING);
        int result = start ? add_owned(out, PyUnicode_Type.tp_repr(start)) : -1;
        Py_XDECREF(start);
        add_left_out(out, length);
        return result;
    }
    if (PyUnicode_IS_COMPACT_ASCII(value) || (PyUnicode_IS_READY(value) && PyUnicode_IS_ASCII(value))) {
        const char *data = PyUnicode_DATA(value);
        Py_ssize_t at = 0;
        while (at < length && data[at] >= 32 && data[at] != 127 && data[at] != '\\' && data[at] != '\'')
            at++;
        if (at == length) {
            add_byte(out, '\'');
            add(out, data, length);
            add_byte(out, '\'');
            return 0;
        }
    }
    return add_owned(out, PyUnicode_Type.tp_repr(value));
}

static int add_bytes(Text *out, const char *data, Py_ssize_t length) {
    PyObject *start = PyBytes_FromStringAndSize(data, length > LONGEST_STRING ? LONGEST_STRING : length);
    int result = start ? add_owned(out, PyBytes_Type.tp_repr(start)) : -1;
    Py_XDECREF(start);
    if (length > LONGEST_STRING) add_left_out(out, length);
    return result;
}

static int add_scalar(Text *out, PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyLong_Type) return add_integer(out, value);
    if (type == &PyUnicode_Type) return add_str(out, value);
    if (type == &PyFloat_Type) return add_float(out, value);
    if (type == &PyBytes_Type) return add_bytes(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    if (type == &PyComplex_Type) return add_owned(out, PyComplex_Type.tp_repr(value));
    add_text(out, value == Py_None ? "None" : value == Py_True ? "True" : value == Py_False ? "False"
                  : value == Py_Ellipsis ? "Ellipsis" : "NotImplemented");
    return 0;
}

/* An object of a builtin type that is shown by its name: 1 if it is one. */

static int named(Text *out, const char *before, PyObject *name) {
    add_text(out, before);
    int result = add_name(out, name);
    add_byte(out, '>');
    return result ? -1 : 1;
}

static int named_by(Text *out, const char *before, PyObject *value) {
    PyObject *name = PyObject_GetAttrString(value, "__qualname__");
    int result = named(out, before, name);
    Py_XDECREF(name);
    return result;
}

static int add_builtin(Text *out, PyObject *value) {
    PyObject *owner = PyCFunction_GET_SELF(value);
    const char *name = ((PyCFunctionObject *)value)->m_ml->ml_name;
    int free = !owner || owner == Py_None || Py_TYPE(owner) == &PyModule_Type;
    add_text(out, free ? "<built-in function " : "<built-in method ");
    add_text(out, name);
    if (!free) {
        add_text(out, " of ");
        if (add_full_name(out, Py_TYPE(owner))) return -1;
        add_text(out, " object");
    }
    add_byte(out, '>');
    return 1;
}

static int add_module(Text *out, PyObject *value) {
    PyObject *name = PyDict_GetItemWithError(PyModule_GetDict(value), self_name);
    add_text(out, "<module ");
    if (name && PyUnicode_CheckExact(name)) {
        Text plain = {0};
        int result = add_name(&plain, name);
        PyObject *text = PyUnicode_DecodeUTF8(plain.data, plain.size, NULL);
        PyMem_RawFree(plain.data);
        if (result || !text) return -1;
        result = add_str(out, text);
        Py_DECREF(text);
        if (result) return -1;
    } else add_byte(out, '?');
    add_byte(out, '>');
    return 1;
}

static int add_class(Text *out, PyTypeObject *type) {
    add_text(out, "<class '");
    int result = add_full_name(out, type);
    add_text(out, "'>");
    return result ? -1 : 1;
}

static int add_range(Text *out, PyObject *value) {
    PyObject *start = PyObject_GetAttrString(value, "start");
    PyObject *stop = PyObject_GetAttrString(value, "stop");
    PyObject *step = PyObject_GetAttrString(value, "step");
    int result = start && stop && step ? 1 : -1;
    if (result > 0) {
        add_text(out, "range(");
        if (add_integer(out, start)) result = -1;
        add_text(out, ", ");
        if (add_integer(out, stop)) result = -1;
        int over;
        if (PyLong_AsLongLongAndOverflow(step, &over) != 1 || over) {
            add_text(out, ", ");
            if (add_integer(out, step)) result = -1;
        }
        add_byte(out, ')');
    }
    Py_XDECREF(start);
    Py_XDECREF(stop);
    Py_XDECREF(step);
    return result;
}

static int add_named(Text *out, PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyRange_Type) return add_range(out, value);
    if (type == &PyFunction_Type)
        return named(out, "<function ", ((PyFunctionObject *)value)->func_qualname);
    if (type == &PyCFunction_Type) return add_builtin(out, value);
    if (type == &PyMethod_Type) {
        PyObject *function = PyMethod_GET_FUNCTION(value);
        if (Py_TYPE(function) == &PyFunction_Type)
            return named(out, "<bound method ", ((PyFunctionObject *)function)->func_qualname);
        add_text(out, "<bound method>");
        return 1;
    }
    if (type == &PyModule_Type) return add_module(out, value);
    if (type == &PyGen_Type) return named_by(out, "<generator object ", value);
    if (type == &PyCoro_Type) return named_by(out, "<coroutine object ", value);
    if (type == &PyAsyncGen_Type) return named_by(out, "<async_generator object ", value);
    if (type == &PyCode_Type) return named(out, "<code object ", ((PyCodeObject *)value)->co_name);
    if (type == &PyType_Type) return add_class(out, (PyTypeObject *)value);
    if (type == environ_type) { add_text(out, "<environ>"); return 1; }
    return 0;
}

/* Containers */

static int items_of(Rendering *to, PyObject **items, Py_ssize_t size, int after) {
    for (Py_ssize_t at = 0; at < size; at++) {
        if (at || after) add(to->out, ", ", 2);
        if (full(to, size - at)) break;
        PyObject *item = items[at];
        Py_INCREF(item);
        int result = node(to, item);
        Py_DECREF(item);
        if (result) return -1;
    }
    return 0;
}

static int list_items(Rendering *to, PyObject *list) {
    add_byte(to->out, '[');
    Py_ssize_t size = PyList_GET_SIZE(list);
    for (Py_ssize_t at = 0; at < size; at++) {
        if (at) add(to->out, ", ", 2);
        if (full(to, size - at)) break;
        if (at >= PyList_GET_SIZE(list)) return -1;
        PyObject *item = PyList_GET_ITEM(list, at);
        Py_INCREF(item);
        int result = node(to, item);
        Py_DECREF(item);
        if (result) return -1;
    }
    add_byte(to->out, ']');
    return 0;
}

static int iterated(Rendering *to, PyObject *iterator, Py_ssize_t size) {
    if (!iterator) return -1;
    PyObject *item;
    int result = 0;
    for (Py_ssize_t at = 0; (item = Py_TYPE(iterator)->tp_iternext(iterator)); at++) {
        if (at) add(to->out, ", ", 2);
        int end = full(to, size - at);
        if (!end) result = node(to, item);
        Py_DECREF(item);
        if (end || result) break;
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_StopIteration)) return -1;
    PyErr_Clear();
    return result;
}

static int pair(Rendering *to, PyObject *key, PyObject *value) {
    Py_INCREF(key);
    Py_INCREF(value);
    int result = node(to, key);
    add(to->out, ": ", 2);
    if (!result) result = node(to, value);
    Py_DECREF(key);
    Py_DECREF(value);
    return result;
}

static int in_own_order(PyObject *value) {
    if (Py_TYPE(value) != &PyODict_Type || PyDict_GET_SIZE(value) > MOST_NODES) return 0;
    PyObject *key, *item;
    Py_ssize_t place = 0;
    while (PyDict_Next(value, &place, &key, &item))
        if (!is_scalar(key)) return 0;
    return 1;
}

static int ordered_pairs(Rendering *to, PyObject *value, Py_ssize_t size) {
    PyObject *iterator = PyODict_Type.tp_iter(value), *key;
    if (!iterator) return -1;
    int result = 0, end = 0;
    for (Py_ssize_t at = 0; !end && !result && (key = Py_TYPE(iterator)->tp_iternext(iterator)); at++) {
        if (at) add(to->out, ", ", 2);
        PyObject *item = PyDict_GetItemWithError(value, key);
        end = full(to, size - at);
        if (!end) result = item ? pair(to, key, item) : -1;
        Py_DECREF(key);
    }
    Py_DECREF(iterator);
    return result || PyErr_Occurred() ? -1 : 0;
}

static int pairs(Rendering *to, PyObject *value) {
    Py_ssize_t size = PyDict_GET_SIZE(value), place = 0;
    PyObject *key, *item;
    add_byte(to->out, '{');
    if (in_own_order(value)) {
        if (ordered_pairs(to, value, size)) return -1;
    } else
        for (Py_ssize_t at = 0; PyDict_Next(value, &place, &key, &item); at++) {
            if (at) add(to->out, ", ", 2);
            if (full(to, size - at)) break;
            if (pair(to, key, item)) return -1;
        }
    add_byte(to->out, '}');
    return 0;
}

static int set_items(Rendering *to, PyObject *value, int frozen) {
    Py_ssize_t size = PySet_GET_SIZE(value);
    if (!size) { add_text(to->out, frozen ? "frozenset()" : "set()"); return 0; }
    add_text(to->out, frozen ? "frozenset({" : "{");
    if (iterated(to, PySet_Type.tp_iter(value), size)) return -1;
    add_text(to->out, frozen ? "})" : "}");
    return 0;
}

static int tuple_items(Rendering *to, PyObject *value) {
    Py_ssize_t size = PyTuple_GET_SIZE(value);
    add_byte(to->out, '(');
    if (items_of(to, ((PyTupleObject *)value)->ob_item, size, 0)) return -1;
    add_text(to->out, size == 1 ? ",)" : ")");
    return 0;
}

static PyTypeObject *store_of(PyTypeObject *type) {
    static PyTypeObject *const stores[] = {
        &PyList_Type, &PyTuple_Type, &PyDict_Type, &PySet_Type, &PyFrozenSet_Type, &PyUnicode_Type,
        &PyLong_Type, &PyFloat_Type, &PyBytes_Type, &PyComplex_Type, &PyByteArray_Type};
    for (size_t at = 0; at < sizeof stores / sizeof *stores; at++)
        if (PyType_IsSubtype(type, stores[at])) return stores[at];
    PyTypeObject *exception = (PyTypeObject *)PyExc_BaseException;
    return PyType_IsSubtype(type, exception) ? exception : NULL;
}

static int store(Rendering *to, PyObject *value, PyTypeObject *base) {
    if (base == &PyList_Type) return list_items(to, value);
    if (base == &PyTuple_Type) return tuple_items(to, value);
    if (base == &PyDict_Type) return pairs(to, value);
    if (base == &PySet_Type || base == &PyFrozenSet_Type)
        return set_items(to, value, base == &PyFrozenSet_Type);
    if (base == &PyUnicode_Type) return add_str(to->out, value);
    if (base == &PyLong_Type) return add_integer(to->out, value);
    if (base == &PyFloat_Type) return add_float(to->out, value);
    if (base == &PyBytes_Type)
        return add_bytes(to->out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    if (base == &PyComplex_Type) return add_owned(to->out, PyComplex_Type.tp_repr(value));
    return add_bytes(to->out, PyByteArray_AS_STRING(value), PyByteArray_GET_SIZE(value));
}

/* The dict of a type, which every type of a program has. */
static PyObject *contents(PyObject *type) {
    PyObject *found = ((PyTypeObject *)type)->tp_dict;
    return found && PyDict_Check(found) ? found : NULL;
}

static PyObject *fields_of(PyObject *value) {
    PyObject *bases = Py_TYPE(value)->tp_mro;
    for (Py_ssize_t at = 0; bases && at < PyTuple_GET_SIZE(bases); at++) {
        PyObject *own = contents(PyTuple_GET_ITEM(bases, at));
        PyObject *fields = own ? PyDict_GetItemWithError(own, fields_name) : NULL;
        if (!fields || !PyTuple_CheckExact(fields) || PyTuple_GET_SIZE(fields) != PyTuple_GET_SIZE(value))
            continue;
        for (Py_ssize_t name = 0; name < PyTuple_GET_SIZE(fields); name++)
            if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(fields, name))) return NULL;
        return fields;
    }
    return NULL;
}

static int attribute_name(Text *out, PyObject *name) {
    return PyUnicode_IsIdentifier(name) ? add_name(out, name) : add_str(out, name);
}

static int attribute(Rendering *to, PyObject *name, PyObject *value) {
    if (attribute_name(to->out, name)) return -1;
    add_byte(to->out, '=');
    Py_INCREF(value);
    int result = node(to, value);
    Py_DECREF(value);
    return result;
}

/* What an instance stores beside attributes: 1 if something was written. */
static int stored(Rendering *to, PyObject *value, PyTypeObject *base) {
    if (!base) return 0;
    if (base == (PyTypeObject *)PyExc_BaseException) {
        PyObject *arguments = ((PyBaseExceptionObject *)value)->args;
        if (!arguments || !PyTuple_CheckExact(arguments) || !PyTuple_GET_SIZE(arguments)) return 0;
        Py_INCREF(arguments);
        int result = items_of(to, ((PyTupleObject *)arguments)->ob_item, PyTuple_GET_SIZE(arguments), 0);
        Py_DECREF(arguments);
        return result ? -1 : 1;
    }
    PyObject *fields = base == &PyTuple_Type ? fields_of(value) : NULL;
    if (!fields) return store(to, value, base) ? -1 : 1;
    Py_ssize_t size = PyTuple_GET_SIZE(fields);
    for (Py_ssize_t at = 0; at < size; at++) {
        if (at) add(to->out, ", ", 2);
        if (full(to, size - at)) break;
        if (attribute(to, PyTuple_GET_ITEM(fields, at), PyTuple_GET_ITEM(value, at))) return -1;
    }
    return size > 0;
}

/* Attributes in slots: pairs of name and value in a list; NULL without an error if the type has no
 * slots. */
static PyObject *slots_of(PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    PyObject *found = NULL, *bases = type->tp_mro;
    for (Py_ssize_t at = 0; bases && at < PyTuple_GET_SIZE(bases); at++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, at);
        PyObject *own = contents((PyObject *)base), *name, *member;
        if (!is_heap(base) || !own || !PyDict_GetItemWithError(own, slots_name)) continue;
        if (!found && !(found = PyList_New(0))) return NULL;
        Py_ssize_t place = 0;
        while (PyDict_Next(own, &place, &name, &member)) {
            if (Py_TYPE(member) != &PyMemberDescr_Type) continue;
            PyObject *item = PyMemberDescr_Type.tp_descr_get(member, value, (PyObject *)type);
            if (!item) { PyErr_Clear(); continue; }
            if (PyList_Append(found, name) || PyList_Append(found, item)) PyErr_Clear();
            Py_DECREF(item);
        }
    }
    return found;
}

/* The dict of an instance: a new reference, or NULL without an error. */
static PyObject *dict_of(PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    PyObject *bases = type->tp_mro;
    for (Py_ssize_t at = 0; bases && at < PyTuple_GET_SIZE(bases); at++) {
        PyObject *own = contents(PyTuple_GET_ITEM(bases, at));
        PyObject *member = own ? PyDict_GetItemWithError(own, dict_name) : NULL;
        if (!member || (Py_TYPE(member) != &PyGetSetDescr_Type && Py_TYPE(member) != &PyMemberDescr_Type))
            continue;
        PyObject *found = Py_TYPE(member)->tp_descr_get(member, value, (PyObject *)type);
        if (!found) PyErr_Clear();
        else if (!PyDict_Check(found)) Py_CLEAR(found);
        return found;
    }
    return NULL;
}

static int is_dunder(PyObject *name) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    return length >= 2 && PyUnicode_READ_CHAR(name, 0) == '_' && PyUnicode_READ_CHAR(name, 1) == '_' &&
           PyUnicode_READ_CHAR(name, length - 1) == '_' && PyUnicode_READ_CHAR(name, length - 2) == '_';
}

/* One attribute of several: 1 if no further one may follow. */
static int next_attribute(Rendering *to, PyObject *name, PyObject *value, int *written, Py_ssize_t left) {
    if (!PyUnicode_CheckExact(name) || is_dunder(name)) return 0;
    if (*written) add(to->out, ", ", 2);
    *written = 1;
    if (full(to, left)) return 1;
    return attribute(to, name, value);
}

static int attributes(Rendering *to, PyObject *slots, PyObject *own, int written) {
    Py_ssize_t count = slots ? PyList_GET_SIZE(slots) / 2 : 0, place = 0;
    Py_ssize_t left = count + (own ? PyDict_GET_SIZE(own) : 0);
    int result = 0;
    for (Py_ssize_t at = 0; at < count && !result; at++, left--)
        result = next_attribute(to, PyList_GET_ITEM(slots, 2 * at), PyList_GET_ITEM(slots, 2 * at + 1),
                                &written, left);
    PyObject *name, *value;
    for (; !result && own && PyDict_Next(own, &place, &name, &value); left--)
        result = next_attribute(to, name, value, &written, left);
    return result < 0 ? -1 : 0;
}

static int again(Text *out, PyTypeObject *type);

static int instance(Rendering *to, PyObject *value) {
    PyTypeObject *type = Py_TYPE(value), *base = store_of(type);
    PyObject *slots = slots_of(value), *own = dict_of(value);
    int result = 0, deep = to->objects == MOST_OBJECTS;
    if (!slots && !own && !base) {
        add_byte(to->out, '<');
        result = add_full_name(to->out, type);
        add_text(to->out, " object>");
    } else if (deep && !base) {
        result = again(to->out, type);
    } else {
        if (deep) {
            Py_CLEAR(slots);
            Py_CLEAR(own);
        }
        to->objects++;
        result = add_type_name(to->out, type);
        add_byte(to->out, '(');
        int written = result ? -1 : stored(to, value, base);
        result = written < 0 ? -1 : attributes(to, slots, own, written);
        add_byte(to->out, ')');
        to->objects--;
    }
    Py_XDECREF(slots);
    Py_XDECREF(own);
    return result;
}

static int attribute_of(Rendering *to, PyObject *value, const char *name) {
    PyObject *found = PyObject_GetAttrString(value, name);
    int result = found ? node(to, found) : -1;
    Py_XDECREF(found);
    return result;
}

static int slice_items(Rendering *to, PyObject *value) {
    PySliceObject *slice = (PySliceObject *)value;
    PyObject *items[3] = {slice->start, slice->stop, slice->step};
    add_text(to->out, "slice(");
    int result = items_of(to, items, 3, 0);
    add_byte(to->out, ')');
    return result;
}

static int deque_items(Rendering *to, PyObject *value) {
    add_text(to->out, "deque([");
    if (iterated(to, Py_TYPE(value)->tp_iter(value), PyObject_Size(value))) return -1;
    add_byte(to->out, ']');
    PyObject *most = PyObject_GetAttrString(value, "maxlen");
    if (!most) return -1;
    int result = 0;
    if (most != Py_None) {
        add_text(to->out, ", maxlen=");
        result = add_integer(to->out, most);
    }
    add_byte(to->out, ')');
    Py_DECREF(most);
    return result;
}

static int default_items(Rendering *to, PyObject *value) {
    add_text(to->out, "defaultdict(");
    if (attribute_of(to, value, "default_factory")) return -1;
    add(to->out, ", ", 2);
    int result = pairs(to, value);
    add_byte(to->out, ')');
    return result;
}

static int container(Rendering *to, PyObject *value) {
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyList_Type) { keep(to->kept, shape(PyList_GET_SIZE(value), 1)); return list_items(to, value); }
    if (type == &PyTuple_Type) { keep(to->kept, shape(PyTuple_GET_SIZE(value), 0)); return tuple_items(to, value); }
    if (type == &PyDict_Type) { keep(to->kept, shape(PyDict_GET_SIZE(value), 2)); return pairs(to, value); }
    to->kept->valid = 0;
    if (type == &PySet_Type || type == &PyFrozenSet_Type) return set_items(to, value, type == &PyFrozenSet_Type);
    if (type == &PyByteArray_Type) {
        add_text(to->out, "bytearray(");
        int result = store(to, value, type);
        add_byte(to->out, ')');
        return result;
    }
    if (type == &PySlice_Type) return slice_items(to, value);
    if (type == deque_type) return deque_items(to, value);
    if (type == default_type) return default_items(to, value);
    if (PyType_IsSubtype(type, &PyType_Type)) return add_class(to->out, (PyTypeObject *)value) < 0 ? -1 : 0;
    if (PyType_IsSubtype(type, &PyModule_Type)) return add_module(to->out, value) < 0 ? -1 : 0;
    return instance(to, value);
}

static int again(Text *out, PyTypeObject *type) {
    if (type == &PyList_Type) { add_text(out, "[...]"); return 0; }
    if (type == &PyTuple_Type) { add_text(out, "(...)"); return 0; }
    if (type == &PyDict_Type) { add_text(out, "{...}"); return 0; }
    int result = add_type_name(out, type);
    add_text(out, "(...)");
    return result;
}

static int node(Rendering *to, PyObject *value) {
    to->nodes++;
    if (is_scalar(value)) {
        keep(to->kept, value);
        return add_scalar(to->out, value);
    }
    int found = add_named(to->out, value);
    if (found) { to->kept->valid = 0; return found < 0 ? -1 : 0; }
    for (int at = 0; at < to->depth; at++)
        if (to->path[at] == value) { to->kept->valid = 0; return again(to->out, Py_TYPE(value)); }
    if (to->depth == PATH) return -1;
    to->path[to->depth++] = value;
    int result = container(to, value);
    to->depth--;
    return result;
}

/* The text of a value, and what it was made from. */
static void render(Text *out, PyObject *value, Snapshot *kept) {
    out->size = 0;
    if (is_scalar(value)) {
        kept->valid = 0;
        if (!add_scalar(out, value)) return;
    } else {
        Rendering to = {.out = out, .kept = kept};
        forget(kept);
        kept->valid = 1;
        if (!node(&to, value)) return;
    }
    kept->valid = 0;
    PyErr_Clear();
    out->size = 0;
    add_text(out, "<unreadable>");
}

/* Code objects */

typedef struct {
    PyObject *code, *bytes, *described;
    PyObject **slots; /* borrowed from described; None if left out */
    int *numbers;     /* of the names in the present stream; -1 before the first use */
    int count, kind, first;
    unsigned generation, number;
} Info;

static Info **infos; /* a hash table by address; room is a power of two */
static size_t infos_count, infos_room;

/* A variable */

typedef struct {
    PyObject *scalar; /* the value itself, if it cannot change */
    char *text;
    size_t size, room;
    int bound;
    Snapshot kept;
} Variable;

typedef struct {
    PyObject_HEAD
    Info *info;
    unsigned generation, number;
    int line, raised, waiting;
    int count, room;
    Variable *variables;
    PyObject **names; /* of a block's variables; their numbers: */
    int *numbers;
} State;

static void clear_variable(Variable *variable) {
    Py_CLEAR(variable->scalar);
    forget(&variable->kept);
    PyMem_RawFree(variable->kept.words);
    PyMem_RawFree(variable->text);
    memset(variable, 0, sizeof *variable);
}

static void free_state(PyObject *self) {
    State *state = (State *)self;
    for (int at = 0; at < state->count; at++) {
        clear_variable(&state->variables[at]);
        if (state->names) Py_DECREF(state->names[at]);
    }
    PyMem_RawFree(state->variables);
    PyMem_RawFree(state->names);
    PyMem_RawFree(state->numbers);
    PyObject_Free(self);
}

/* Another hook in Python calls what is in `f_trace`; nothing in there follows the frame. */
static PyObject *ignored(PyObject *self, PyObject *arguments, PyObject *named) { Py_RETURN_NONE; }

static PyTypeObject state_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "forager.State",
    .tp_basicsize = sizeof(State),
    .tp_dealloc = free_state,
    .tp_call = ignored,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* The recording */

typedef struct { uint64_t identity; unsigned *stack; int size, room; } Thread;

static struct {
    int active, own, busy, deep;
    unsigned generation, frames, codes;
    size_t left, most_bytes;
    int most_depth;
    double deadline;
    Text stream;
    PyObject *names, *files, *missing; /* name → number, file → number, reasons */
    Thread *threads;
    int thread_count, thread;
} now;

static Text scratch;
static Snapshot unkept;

static double monotonic(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void operation(int code, PyObject *text) {
    Text plain = {0};
    add_utf8(&plain, text);
    add_byte(&now.stream, code);
    add_string(&now.stream, plain.data ? plain.data : "", plain.size);
    PyMem_RawFree(plain.data);
}

static void mark(const char *reason) {
    PyObject *text = PyUnicode_FromString(reason);
    if (!text) { PyErr_Clear(); return; }
    if (now.missing && PyList_Append(now.missing, text)) PyErr_Clear();
    operation(0x0F, text);
    Py_DECREF(text);
}

static void end(const char *reason) {
    if (!now.active) return;
    now.active = 0;
    if (*reason) mark(reason);
    if (strcmp(reason, "hook")) {
        now.own = 1;
        PyEval_SetTrace(NULL, NULL);
        now.own = 0;
    }
}

/* Look at the limits before every 256th event: 1 if the recording has ended. */
static int check(void) {
    if (failed || !now.left) end("events");
    else if (now.stream.size >= now.most_bytes) end("bytes");
    else if (monotonic() > now.deadline) end("seconds");
    return !now.active;
}

static int number_in(PyObject *known, PyObject *key, int code) {
    PyObject *found = PyDict_GetItemWithError(known, key);
    if (found) return (int)PyLong_AsLong(found);
    int number = (int)PyDict_GET_SIZE(known);
    PyObject *value = PyLong_FromLong(number);
    if (!value || PyDict_SetItem(known, key, value)) PyErr_Clear();
    Py_XDECREF(value);
    operation(code, key);
    return number;
}

/* Frames, by version */

#if defined(INTERNAL) || PY_VERSION_HEX < 0x030B0000
static PyObject *trace_of(PyFrameObject *frame) { return frame->f_trace; }
static void set_trace(PyFrameObject *frame, PyObject *state) {
    PyObject *before = frame->f_trace;
    Py_XINCREF(state);
    frame->f_trace = state;
    Py_XDECREF(before);
}
static void leave_alone(PyFrameObject *frame) { frame->f_trace_lines = 0; }
#else
static PyObject *trace_of(PyFrameObject *frame) {
    PyObject *found = PyObject_GetAttrString((PyObject *)frame, "f_trace");
    if (!found) { PyErr_Clear(); return NULL; }
    Py_DECREF(found); /* the frame has it */
    return found;
}
static void set_trace(PyFrameObject *frame, PyObject *state) {
    if (PyObject_SetAttrString((PyObject *)frame, "f_trace", state ? state : Py_None)) PyErr_Clear();
}
static void leave_alone(PyFrameObject *frame) {
    if (PyObject_SetAttrString((PyObject *)frame, "f_trace_lines", Py_False)) PyErr_Clear();
}
#endif

static int last_of(PyFrameObject *frame) {
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#elif PY_VERSION_HEX >= 0x030A0000
    return frame->f_lasti * 2;
#else
    return frame->f_lasti;
#endif
}

static PyCodeObject *code_of(PyFrameObject *frame) { /* borrowed: the frame has it */
#if PY_VERSION_HEX >= 0x03090000
    PyCodeObject *code = PyFrame_GetCode(frame);
    Py_DECREF(code);
    return code;
#else
    return frame->f_code;
#endif
}

/* The value of a variable by its place: a new reference; NULL if it is unbound. */
static PyObject *variable_of(PyFrameObject *frame, Info *info, int at) {
    PyObject *value;
#if defined(INTERNAL)
    PyCodeObject *code = (PyCodeObject *)info->code;
    value = frame->f_frame->localsplus[at];
    int kind = (unsigned char)PyBytes_AS_STRING(code->co_localspluskinds)[at];
    if (value && kind & (KIND_CELL | KIND_FREE) && PyCell_Check(value)) value = PyCell_GET(value);
    Py_XINCREF(value);
#elif PY_VERSION_HEX < 0x030B0000
    value = frame->f_localsplus[at];
    if (value && at >= ((PyCodeObject *)info->code)->co_nlocals && PyCell_Check(value))
        value = PyCell_GET(value);
    Py_XINCREF(value);
#else
    value = PyFrame_GetVar(frame, info->slots[at]);
    if (!value) PyErr_Clear();
#endif
    return value;
}

/* The dict of a block's variables: a new reference, or NULL. */
static PyObject *block_of(PyFrameObject *frame) {
    PyObject *found;
#if defined(INTERNAL)
    found = frame->f_frame->f_locals;
    Py_XINCREF(found);
#elif PY_VERSION_HEX < 0x030B0000
    found = frame->f_locals;
    Py_XINCREF(found);
#else
    found = PyFrame_GetLocals(frame);
    if (!found) PyErr_Clear();
#endif
    if (found && !PyDict_Check(found)) Py_CLEAR(found);
    return found;
}

/* What has changed */

static size_t common(const char *one, const char *other, size_t most) {
    size_t size = 0;
    while (size + 8 <= most && !memcmp(one + size, other + size, 8)) size += 8;
    while (size < most && one[size] == other[size]) size++;
    return size;
}

static size_t common_end(const char *one, const char *other, size_t most) {
    size_t size = 0;
    while (size < most && one[-1 - (Py_ssize_t)size] == other[-1 - (Py_ssize_t)size]) size++;
    return size;
}

static void change(int number, const Variable *old, const Text *new) {
    if (old->bound && old->size >= EDITED && new->size >= EDITED) {
        size_t most = old->size < new->size ? old->size : new->size;
        size_t prefix = common(old->text, new->data, most);
        size_t suffix = common_end(old->text + old->size, new->data + new->size, most - prefix);
        if (2 * (prefix + suffix) >= new->size) {
            add_byte(&now.stream, 0x0C);
            add_number(&now.stream, number);
            add_number(&now.stream, prefix);
            add_number(&now.stream, suffix);
            add_string(&now.stream, new->data + prefix, new->size - prefix - suffix);
            return;
        }
    }
    if (number < 0x80) add_byte(&now.stream, 0x80 + number);
    else {
        add_byte(&now.stream, 0x0D);
        add_number(&now.stream, number);
    }
    add_string(&now.stream, new->data, new->size);
}

/* Whether a variable has another text than before, which is then in scratch. */
static int differs(Variable *variable, PyObject *value) {
    if (is_scalar(value)) {
        PyObject *before = variable->scalar;
        Py_INCREF(value);
        variable->scalar = value;
        render(&scratch, value, &variable->kept);
        Py_XDECREF(before);
    } else {
        Py_CLEAR(variable->scalar);
        int at = 0;
        if (variable->kept.valid && variable->bound && same(value, &variable->kept, &at) &&
            at == variable->kept.size)
            return 0;
        render(&scratch, value, &variable->kept);
    }
    return !variable->bound || variable->size != scratch.size ||
           memcmp(variable->text, scratch.data, scratch.size);
}

static void save(Variable *variable) {
    if (variable->room < scratch.size) {
        size_t room = scratch.size < 16 ? 16 : scratch.size + scratch.size / 4;
        char *grown = PyMem_RawRealloc(variable->text, room);
        if (!grown) { failed = 1; return; }
        variable->text = grown;
        variable->room = room;
    }
    memcpy(variable->text, scratch.data, scratch.size);
    variable->size = scratch.size;
    variable->bound = 1;
}

static void unbound(Variable *variable, int number) {
    add_byte(&now.stream, 0x0B);
    add_number(&now.stream, number);
    clear_variable(variable);
}

static int slot_number(Info *info, int at) {
    if (info->numbers[at] < 0) info->numbers[at] = number_in(now.names, info->slots[at], 0x01);
    return info->numbers[at];
}

static void look_at_slots(State *state, PyFrameObject *frame) {
    Info *info = state->info;
    for (int at = 0; at < info->count; at++) {
        if (info->slots[at] == Py_None) continue;
        Variable *variable = &state->variables[at];
        PyObject *value = variable_of(frame, info, at);
        if (!value) {
            if (variable->bound) unbound(variable, slot_number(info, at));
        } else if (value != variable->scalar && differs(variable, value)) {
            change(slot_number(info, at), variable, &scratch);
            save(variable);
        }
        Py_XDECREF(value);
    }
}

/* The place of a block's variable, which is made for a new name; -1 without memory. */
static int place_of(State *state, PyObject *name, int guess) {
    if (guess < state->count && state->names[guess] == name) return guess;
    for (int at = 0; at < state->count; at++)
        if (state->names[at] == name || PyUnicode_Compare(state->names[at], name) == 0) return at;
    if (state->count == state->room) {
        int room = state->room ? 2 * state->room : 16;
        Variable *variables = PyMem_RawRealloc(state->variables, room * sizeof *variables);
        if (variables) state->variables = variables;
        PyObject **names = PyMem_RawRealloc(state->names, room * sizeof *names);
        if (names) state->names = names;
        int *numbers = PyMem_RawRealloc(state->numbers, room * sizeof *numbers);
        if (numbers) state->numbers = numbers;
        if (!variables || !names || !numbers) return -1;
        state->room = room;
    }
    memset(&state->variables[state->count], 0, sizeof(Variable));
    Py_INCREF(name);
    state->names[state->count] = name;
    state->numbers[state->count] = -1;
    return state->count++;
}

static void drop_unseen(State *state, const char *seen, int before) {
    int kept = 0;
    for (int at = 0; at < state->count; at++) {
        if (at < before && !seen[at]) {
            if (state->variables[at].bound) unbound(&state->variables[at], state->numbers[at]);
            Py_DECREF(state->names[at]);
            continue;
        }
        state->variables[kept] = state->variables[at];
        state->names[kept] = state->names[at];
        state->numbers[kept++] = state->numbers[at];
    }
    state->count = kept;
}

static void look_at_block(State *state, PyFrameObject *frame) {
    PyObject *block = block_of(frame), *name, *value;
    if (!block) return;
    int before = state->count, guess = 0;
    char *seen = PyMem_RawCalloc(before + 1, 1);
    Py_ssize_t place = 0;
    while (seen && PyDict_Next(block, &place, &name, &value)) {
        if (!PyUnicode_CheckExact(name) || is_dunder(name) ||
            (PyUnicode_GET_LENGTH(name) && PyUnicode_READ_CHAR(name, 0) == '@'))
            continue;
        int at = place_of(state, name, guess);
        if (at < 0) break;
        if (at < before) seen[at] = 1;
        guess = at + 1;
        Variable *variable = &state->variables[at];
        if (value == variable->scalar) continue;
        Py_INCREF(value);
        if (differs(variable, value)) {
            if (state->numbers[at] < 0) state->numbers[at] = number_in(now.names, name, 0x01);
            change(state->numbers[at], variable, &scratch);
            save(variable);
        }
        Py_DECREF(value);
    }
    if (seen) drop_unseen(state, seen, before);
    PyMem_RawFree(seen);
    Py_DECREF(block);
}

static void look(State *state, PyFrameObject *frame) {
    if (state->info->kind == BLOCK) look_at_block(state, frame);
    else look_at_slots(state, frame);
}

/* Codes */

static Info *make_info(PyObject *code) {
    Info *info = PyMem_RawCalloc(1, sizeof *info);
    if (!info) return NULL;
    Py_INCREF(code);
    info->code = code;
    info->kind = -1;
    PyObject *found = PyObject_CallFunctionObjArgs(describe, code, NULL);
    if (!found || found == Py_None) { PyErr_Clear(); Py_XDECREF(found); return info; }
    info->described = found;
    PyObject *slots = PyTuple_GET_ITEM(found, 4);
    info->first = (int)PyLong_AsLong(PyTuple_GET_ITEM(found, 1));
    info->kind = (int)PyLong_AsLong(PyTuple_GET_ITEM(found, 2));
    info->count = (int)PyTuple_GET_SIZE(slots);
    info->slots = ((PyTupleObject *)slots)->ob_item;
    info->numbers = PyMem_RawMalloc((info->count + 1) * sizeof(int));
    info->bytes = PyObject_GetAttrString(code, "co_code");
    if (!info->numbers || !info->bytes || PyErr_Occurred()) { PyErr_Clear(); info->kind = -1; }
#ifdef INTERNAL
    if (info->kind != BLOCK && info->count != ((PyCodeObject *)code)->co_nlocalsplus) info->kind = -1;
#endif
    return info;
}

static size_t place_in_infos(Info **all, size_t room, PyObject *code) {
    size_t at = ((uintptr_t)code >> 4) & (room - 1);
    while (all[at] && all[at]->code != code) at = (at + 1) & (room - 1);
    return at;
}

static Info *info_of(PyObject *code) {
    if (2 * infos_count >= infos_room) {
        size_t room = infos_room ? 2 * infos_room : 1024;
        Info **grown = PyMem_RawCalloc(room, sizeof *grown);
        if (!grown) return NULL;
        for (size_t at = 0; at < infos_room; at++)
            if (infos[at]) grown[place_in_infos(grown, room, infos[at]->code)] = infos[at];
        PyMem_RawFree(infos);
        infos = grown;
        infos_room = room;
    }
    size_t at = place_in_infos(infos, infos_room, code);
    if (!infos[at]) {
        infos[at] = make_info(code);
        infos_count += infos[at] != NULL;
    }
    return infos[at];
}

static void define(Info *info) {
    if (info->generation == now.generation) return;
    info->generation = now.generation;
    info->number = now.codes++;
    for (int at = 0; at < info->count; at++) info->numbers[at] = -1;
    int file = number_in(now.files, PyTuple_GET_ITEM(info->described, 0), 0x02);
    Text name = {0};
    add_utf8(&name, PyTuple_GET_ITEM(info->described, 3));
    add_byte(&now.stream, 0x03);
    add_number(&now.stream, file);
    add_number(&now.stream, info->first);
    add_number(&now.stream, info->kind);
    add_string(&now.stream, name.data ? name.data : "", name.size);
    PyMem_RawFree(name.data);
}

static int kind_at(Info *info, int last) {
    Py_ssize_t size = PyBytes_GET_SIZE(info->bytes);
    const unsigned char *code = (const unsigned char *)PyBytes_AS_STRING(info->bytes);
    if (last < 0 || last >= size) return 0;
    while (last >= 2 && code[last] == cache) last -= 2;
    int kind = table[code[last]];
    if (last + 2 < size && table[code[last + 2]] & BEFORE) kind |= YIELDS | LOOPS;
    if (kind & STARTS && code[last + 1] & 3) kind |= YIELDS;
    return kind;
}

static int is_start(Info *info, int last) {
    const unsigned char *code = (const unsigned char *)PyBytes_AS_STRING(info->bytes);
    return last < 0 || (table[code[last]] & STARTS && !(code[last + 1] & 3));
}

/* Events */

static Thread *thread_now(void) {
    uint64_t identity = PyThreadState_Get()->id;
    int at = now.thread;
    if (at >= now.thread_count || now.threads[at].identity != identity) {
        for (at = 0; at < now.thread_count && now.threads[at].identity != identity; at++) {}
        if (at == now.thread_count) {
            Thread *grown = PyMem_RawRealloc(now.threads, (at + 1) * sizeof *grown);
            if (!grown) return NULL;
            now.threads = grown;
            memset(&now.threads[at], 0, sizeof *grown);
            now.threads[at].identity = identity;
            now.thread_count++;
        }
    }
    return &now.threads[at];
}

/* Say that the following events are this thread's, if the last one was another's. */
static void switch_to(Thread *thread) {
    int at = (int)(thread - now.threads);
    if (at == now.thread) return;
    now.thread = at;
    add_byte(&now.stream, 0x0E);
    add_number(&now.stream, at);
}

static void push(Thread *thread, unsigned number) {
    if (thread->size == thread->room) {
        int room = thread->room ? 2 * thread->room : 64;
        unsigned *grown = PyMem_RawRealloc(thread->stack, room * sizeof *grown);
        if (!grown) { failed = 1; return; }
        thread->stack = grown;
        thread->room = room;
    }
    thread->stack[thread->size++] = number;
}

static int counted(void) {
    if (!(now.left & 255) && check()) return 0;
    now.left--;
    return 1;
}

static void go_on(Thread *thread, State *state) {
    add_byte(&now.stream, 0x05);
    add_number(&now.stream, state->number);
    push(thread, state->number);
}

static State *new_state(Info *info) {
    State *state = PyObject_New(State, &state_type);
    if (!state) { PyErr_Clear(); return NULL; }
    memset((char *)state + sizeof(PyObject), 0, sizeof *state - sizeof(PyObject));
    state->info = info;
    state->generation = now.generation;
    state->number = now.frames;
    state->line = info->first;
    state->raised = -1;
    if (info->kind != BLOCK && info->count) {
        state->variables = PyMem_RawCalloc(info->count, sizeof(Variable));
        if (!state->variables) { Py_DECREF(state); return NULL; }
        state->count = info->count;
    }
    return state;
}

static State *state_of(PyFrameObject *frame) {
    PyObject *found = trace_of(frame);
    if (!found || Py_TYPE(found) != &state_type) return NULL;
    State *state = (State *)found;
    return state->generation == now.generation ? state : NULL;
}

static void call(PyFrameObject *frame) {
    Info *info = info_of((PyObject *)code_of(frame));
    if (!info || info->kind < 0) { leave_alone(frame); return; }
    define(info);
    Thread *thread = thread_now();
    if (!thread) return;
    if (info->kind >= GENERATOR && info->kind <= ASYNC_GENERATOR && !is_start(info, last_of(frame))) {
        State *state = state_of(frame);
        if (!state || !state->waiting || !counted()) return;
        state->waiting = 0;
        switch_to(thread);
        go_on(thread, state);
        state->raised = -1;
        look(state, frame);
        return;
    }
    if (thread->size >= now.most_depth) {
        if (!now.deep) { now.deep = 1; mark("depth"); }
        return;
    }
    if (!counted()) return;
    State *state = new_state(info);
    if (!state) { end("events"); return; }
    set_trace(frame, (PyObject *)state);
    switch_to(thread);
    add_byte(&now.stream, 0x04);
    add_number(&now.stream, info->number);
    push(thread, now.frames++);
    look(state, frame);
    Py_DECREF(state);
}

static void line_event(State *state, PyFrameObject *frame) {
    int line = PyFrame_GetLineNumber(frame), distance = line - state->line;
    if (distance >= -32 && distance <= 31) add_byte(&now.stream, 0x40 + distance);
    else {
        add_byte(&now.stream, 0x06);
        add_number(&now.stream, line);
    }
    state->line = line;
    state->raised = -1;
}

static void valued(int code, State *state, PyObject *value) {
    add_byte(&now.stream, code);
    add_number(&now.stream, state->line);
    render(&scratch, value, &unkept);
    forget(&unkept);
    add_string(&now.stream, scratch.data, scratch.size);
}

/* A frame ends or waits: 1 if it ends. */
static int leave(State *state, PyFrameObject *frame, Thread *thread, PyObject *value) {
    if (!value) value = Py_None;
    state->line = PyFrame_GetLineNumber(frame);
    thread->size--;
    int generator = state->info->kind >= GENERATOR && state->info->kind <= ASYNC_GENERATOR;
    int last = last_of(frame);
    int kind = generator || value == Py_None ? kind_at(state->info, last) : RETURNS;
    if (generator && kind & YIELDS && state->raised != last) {
        state->waiting = 1;
        valued(0x08, state, value);
        return 0;
    }
    if (kind & RETURNS) valued(0x07, state, value);
    else {
        add_byte(&now.stream, 0x0A);
        add_number(&now.stream, state->line);
    }
    return 1;
}

/* Whether an exception only tells a loop or `await` that an iterator has ended. */
static int is_end(State *state, PyFrameObject *frame, PyObject *raised) {
    PyObject *kind = PyTuple_GET_ITEM(raised, 0);
    state->raised = last_of(frame);
    return (kind == PyExc_StopIteration || kind == PyExc_StopAsyncIteration) &&
           kind_at(state->info, state->raised) & LOOPS;
}

static void event(State *state, PyFrameObject *frame, int what, PyObject *value) {
    if (what == PyTrace_EXCEPTION && is_end(state, frame, value)) return;
    Thread *thread = thread_now();
    if (!thread || !counted()) return;
    switch_to(thread);
    if (!thread->size || thread->stack[thread->size - 1] != state->number) {
        go_on(thread, state);
        if (failed) { end("events"); return; }
    }
    int ends = 0;
    if (what == PyTrace_LINE) line_event(state, frame);
    else if (what == PyTrace_RETURN) ends = leave(state, frame, thread, value);
    else {
        state->line = PyFrame_GetLineNumber(frame);
        valued(0x09, state, PyTuple_GET_ITEM(value, 1));
    }
    look(state, frame);
    if (ends) set_trace(frame, NULL);
}

static int trace(PyObject *self, PyFrameObject *frame, int what, PyObject *value) {
    if (!now.active) {
        now.own = 1;
        PyEval_SetTrace(NULL, NULL);
        now.own = 0;
        return 0;
    }
    while (now.busy) { /* another thread is in here, and gave up the lock to describe a code */
        Py_BEGIN_ALLOW_THREADS
        usleep(50);
        Py_END_ALLOW_THREADS
    }
    now.busy = 1;
    if (what == PyTrace_CALL) call(frame);
    else if (what == PyTrace_LINE || what == PyTrace_RETURN || what == PyTrace_EXCEPTION) {
        State *state = state_of(frame);
        if (state) event(state, frame, what, value);
    }
    now.busy = 0;
    return 0;
}

/* Another hook takes the place of this one. */
static int heard(const char *name, PyObject *arguments, void *data) {
    if (now.active && !now.own && !strcmp(name, "sys.settrace") &&
        PyThreadState_Get()->c_tracefunc == trace)
        end("hook");
    return 0;
}

static PyObject *start(PyObject *self, PyObject *arguments) {
    static int listening;
    Py_ssize_t events, bytes;
    PyObject *new_describe;
    double seconds;
    int depth;
    if (!PyArg_ParseTuple(arguments, "Onndi", &new_describe, &events, &bytes, &seconds, &depth)) return NULL;
    if (!listening && PySys_AddAuditHook(heard, NULL)) return NULL;
    listening = 1;
    if (new_describe != describe) { /* other files are traced: what is known of codes is void */
        for (size_t at = 0; at < infos_room; at++) infos[at] = NULL;
        infos_count = 0;
        Py_INCREF(new_describe);
        Py_XDECREF(describe);
        describe = new_describe;
    }
    now.generation++;
    now.frames = now.codes = 0;
    now.deep = now.busy = failed = now.thread = 0;
    now.left = events;
    now.most_bytes = bytes;
    now.most_depth = depth;
    now.deadline = monotonic() + seconds;
    now.stream.size = 0;
    for (int at = 0; at < now.thread_count; at++) PyMem_RawFree(now.threads[at].stack);
    now.thread_count = 0;
    Py_XDECREF(now.names);
    Py_XDECREF(now.files);
    Py_XDECREF(now.missing);
    now.names = PyDict_New();
    now.files = PyDict_New();
    now.missing = PyList_New(0);
    if (!now.names || !now.files || !now.missing || !thread_now()) return NULL;
    now.active = now.own = 1;
    PyEval_SetTrace(trace, self);
    now.own = 0;
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *self, PyObject *unused) {
    if (now.active && PyThreadState_Get()->c_tracefunc != trace) end("hook");
    end("");
    return Py_BuildValue("y#O", now.stream.data ? now.stream.data : "", (Py_ssize_t)now.stream.size,
                         now.missing ? now.missing : Py_None);
}

/* What `threading.settrace` is given: the first call in a new thread comes here. */
static PyObject *attach(PyObject *self, PyObject *arguments) {
    now.own = 1;
    PyEval_SetTrace(now.active ? trace : NULL, now.active ? self : NULL);
    now.own = 0;
    Py_RETURN_NONE;
}

static PyObject *render_value(PyObject *self, PyObject *value) {
    Text out = {0};
    Snapshot kept = {0};
    render(&out, value, &kept);
    forget(&kept);
    PyMem_RawFree(kept.words);
    PyObject *result = PyUnicode_DecodeUTF8(out.data, (Py_ssize_t)out.size, NULL);
    PyMem_RawFree(out.data);
    return result;
}

static PyMethodDef methods[] = {
    {"start", start, METH_VARARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"attach", attach, METH_VARARGS, NULL},
    {"render", render_value, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "forager_tracer_helper", NULL, -1, methods};

static PyTypeObject *type_in(const char *module, const char *name) {
    PyObject *place = PyImport_ImportModule(module);
    PyObject *found = place ? PyObject_GetAttrString(place, name) : NULL;
    Py_XDECREF(place);
    return (PyTypeObject *)found;
}

PyMODINIT_FUNC PyInit_forager_tracer_helper(void) {
    if (PyType_Ready(&state_type)) return NULL;
    bit_length = PyObject_GetAttrString((PyObject *)&PyLong_Type, "bit_length");
    slots_name = PyUnicode_InternFromString("__slots__");
    dict_name = PyUnicode_InternFromString("__dict__");
    module_name = PyUnicode_InternFromString("__module__");
    fields_name = PyUnicode_InternFromString("_fields");
    self_name = PyUnicode_InternFromString("__name__");
    deque_type = type_in("collections", "deque");
    default_type = type_in("collections", "defaultdict");
    environ_type = type_in("os", "_Environ");
    if (!bit_length || !slots_name || !dict_name || !module_name || !fields_name || !self_name ||
        !deque_type || !default_type || !environ_type)
        return NULL;
    PyObject *codes = PyImport_ImportModule("opcode"), *map = codes ? PyObject_GetAttrString(codes, "opmap") : NULL;
    Py_XDECREF(codes);
    if (!map) return NULL;
    static const struct { const char *name; int kind; } kinds[] = {
        {"RETURN_VALUE", RETURNS}, {"RETURN_CONST", RETURNS}, {"YIELD_VALUE", YIELDS},
        {"YIELD_FROM", YIELDS | LOOPS | BEFORE}, {"FOR_ITER", LOOPS}, {"SEND", LOOPS},
        {"END_ASYNC_FOR", LOOPS}, {"END_SEND", LOOPS}, {"END_FOR", LOOPS}, {"CLEANUP_THROW", LOOPS}, {"RESUME", STARTS}};
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
        PyObject *code = PyDict_GetItemString(map, kinds[at].name);
        long number = code ? PyLong_AsLong(code) : -1;
        if (number >= 0 && number < 256) table[number] |= kinds[at].kind;
    }
    PyObject *code = PyDict_GetItemString(map, "CACHE");
    if (code) cache = PyLong_AsLong(code);
    Py_DECREF(map);
    return PyModule_Create(&definition);
}
