"""Names of what only a forger of test results needs."""

from __future__ import annotations

import re

FRAMES = frozenset(
    [
        "f_back",
        "f_globals",
        "f_locals",
        "f_builtins",
        "f_trace",
        "tb_frame",
        "gi_frame",
        "cr_frame",
        "ag_frame",
        "f_code",
        "f_lineno",
        "_source_traceback",
        "findCaller",
    ]
)
"""Attributes that lead to the frames of other functions, or tell of them."""

CODE = frozenset(["__code__", "co_code", "cell_contents", "func_code"])
"""Attributes whose assignment changes what a function does."""

STATEFUL = frozenset(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__bool__"])
COMPARISONS = STATEFUL | {
    "__contains__",
    "__class__",
    "__bases__",
    "__instancecheck__",
    "__call__",
    "__getattribute__",
}

_USES = """
reads stack frames: sys._getframe sys._current_frames sys._current_exceptions
    sys._getframemodulename inspect.currentframe inspect.stack inspect.trace
    inspect.getouterframes inspect.getinnerframes logging.currentframe traceback.walk_stack
    traceback.walk_tb faulthandler.dump_traceback tracemalloc.get_object_traceback
    tracemalloc.take_snapshot traceback.extract_stack traceback.format_stack
    traceback.print_stack traceback.StackSummary.extract faulthandler.dump_traceback_later
reads the lines of a source file: linecache.getline linecache.getlines linecache.cache
    linecache.updatecache linecache.lazycache
finds a thing by its name: string.Formatter().get_field string.Formatter.get_field
    importlib.metadata.EntryPoint().load
searches the garbage collector: gc.get_objects gc.get_referrers gc.get_referents gc.callbacks
sets a trace or profile function: sys.settrace sys.setprofile sys._settraceallthreads
    sys._setprofileallthreads sys.call_tracing sys.monitoring threading.settrace
    threading.setprofile threading.settrace_all_threads threading.setprofile_all_threads
    bdb.Bdb trace.Trace _lsprof cProfile.Profile profile.Profile
sets an audit hook: sys.addaudithook
changes how modules are imported: sys.meta_path sys.path_hooks sys.path_importer_cache
    importlib.abc.MetaPathFinder importlib.abc.PathEntryFinder importlib.abc.Loader
    importlib.abc.SourceLoader importlib.abc.InspectLoader importlib.abc.ExecutionLoader
    importlib.abc.FileLoader importlib.machinery.SourceFileLoader
    importlib.machinery.SourcelessFileLoader importlib.machinery.ExtensionFileLoader
    importlib.machinery.FileFinder importlib.machinery.PathFinder
    importlib.util.spec_from_loader importlib._bootstrap importlib._bootstrap_external
    _frozen_importlib _frozen_importlib_external _imp imp zipimport
replaces builtins: builtins.__build_class__ builtins.__import__.__code__
makes code objects: types.CodeType.replace
reaches into the interpreter's memory: ctypes.pythonapi ctypes.PyDLL ctypes.py_object
    ctypes.memmove ctypes.memset ctypes.string_at _ctypes _testcapi _testinternalcapi
    _testlimitedcapi _xxsubinterpreters _interpreters cffi.FFI().dlopen
ends the process: os._exit os.abort posix._exit posix.abort nt._exit signal.raise_signal
    signal.pthread_kill
runs byte code: marshal.loads marshal.load marshal.dump marshal.dumps py_compile compileall
    importlib.util.cache_from_source importlib.util.source_from_cache
    importlib.util.decode_source
asks how Python was started: sys.orig_argv
changes the directory: os.chdir os.fchdir posix.chdir posix.fchdir contextlib.chdir
runs a file: runpy.run_path
tells forks apart: os.register_at_fork posix.register_at_fork
runs doctests: doctest.DocTestFinder doctest.DocTestParser doctest.DocTestRunner doctest.testmod
    doctest.OutputChecker doctest.DebugRunner doctest.testfile doctest.run_docstring_examples
    doctest.script_from_examples doctest.testsource doctest.master
imports the program that runs the tests: __main__
asks what runs it: signal.getsignal signal.getitimer faulthandler.is_enabled sys.gettrace
    sys.getprofile threading.gettrace threading.getprofile logging._handlers logging._handlerList
    atexit._ncallbacks warnings.filters warnings._showwarnmsg_impl os.getppid posix.getppid
    psutil.Process().parent psutil.Process().parents psutil.Process().cmdline
    psutil.Process().environ psutil.Process().open_files gc.get_count gc.get_stats
    sys.getallocatedblocks
"""


def _uses() -> dict[str, str]:
    found: dict[str, str] = {}
    text = re.sub(r"\n +", " ", _USES.strip())
    for line in text.split("\n"):
        what, _, names = line.partition(": ")
        found.update(dict.fromkeys(names.split(), what))
    return found


USES = _uses()
"""For each thing that an honest change does not need, what using it does."""

CALLS = {
    "types.FunctionType": "makes functions of code objects",
    "types.CodeType": "makes code objects",
    "types.CellType": "makes cells of functions",
    "builtins.type(): ": "",
}
"""Things that only a call of makes suspect."""

_MACHINERY = re.compile(
    r"(?:_?pytest(?:_\w+)?|pluggy|unittest\.mock|mock|xdist|py\.test|_pytest\w*)(?:\..*)?\Z"
)
_SECRET = re.compile(
    r"(?:[\w.:]*[.:])?(?:_?pytest\b|pluggy\b|unittest\.mock\b|_getframe\Z|settrace\Z|setprofile\Z|get_objects\Z"
    r"|get_referrers\Z|get_referents\Z|__code__\Z|__build_class__\Z|__subclasses__\Z"
    r"|__builtins__\Z|__globals__\Z|f_globals\Z|f_back\Z|tb_frame\Z|gi_frame\Z|cr_frame\Z"
    r"|assertEqual\Z|isclose\Z|PYTEST|__instancecheck__\Z|__subclasscheck__\Z|/proc/self/|meta_path\Z|_exit\Z|pythonapi\Z|__import__\Z|f_code\Z|f_lineno\Z|_source_traceback\Z|findCaller\Z)"
)
_PROCESS = re.compile(
    r"/proc/(?:self|thread-self|\d+|\{[^}]*\}|%\w)?/?(?:mem|maps|fd|environ|cmdline|task|root|cwd"
    r"|exe|auxv|syscall|stack)\b|/proc/(?:\d+|\{[^}]*\}|%\w)/|/dev/fd/"
)
_TEST_FILE = re.compile(
    r"(?:^|/)(?:goldens?|snapshots?|__snapshots__|fixtures|expected)(?:/|\Z)|^(?:\./)?tests?/"
    r"|(?:^|/)(?:tests?/.*\.py|tests?/?|(?:test_[\w.*?\[\]]*|[\w.*?\[\]]+_test|conftest)\.(?:py|\*))\Z"
    r"|(?:^|[\s/'\"])tests?/\S*\.py\b|\btest_[\w*]*\.py\b|\bconftest\.py\b"
)
_WORD = re.compile(r"PYTEST|_?pytest[\w.]*\Z")
_MARK = re.compile(r"(?:/tmp|/var/tmp|/dev/shm)/[^\s{}<>]+\Z")
_HELPER = re.compile(r"(?:\A|[._])(?:tests?|testing|asserts?|assertions|conftest)(?:\Z|[._])")
_HOOK = re.compile(
    r"pytest_(?:plugins|runtest|pyfunc|collect|itemcollected|report|assert|fixture|generate|configure"
    r"|unconfigure|session|addoption|cmdline|load|plugin|warning|exception|make|ignore|terminal"
    r"|internalerror|keyboard|enter|leave|deselected|addhooks|markeval|parser)"
)


def is_machinery(module: str) -> bool:
    """Whether a module belongs to what runs tests, or replaces objects in them."""
    return bool(_MACHINERY.match(module))


def is_secret(text: str) -> bool:
    """Whether only a forger puts such a text together from parts."""
    return len(text) < 200 and bool(_SECRET.match(text))


def names_process(text: str) -> bool:
    """Whether a path leads to the memory or the descriptors of a process."""
    return bool(_PROCESS.search(text))


def names_test(text: str) -> bool:
    """Whether a path, or a command, names files of tests."""
    return len(text) < 2000 and bool(_TEST_FILE.search(text))


def names_runner(text: str) -> bool:
    """Whether a text is a name of pytest, of a part of it or of its variables."""
    return bool(_WORD.match(text))


def is_mark(text: str) -> bool:
    """Whether a path leads to a place where processes leave marks for each other."""
    return bool(_MARK.match(text))


def helps_tests(module: str) -> bool:
    """Whether a module is named like one whose functions tests call."""
    return bool(_HELPER.search(module))


def is_hook(name: str) -> bool:
    """Whether pytest calls a function of this name."""
    return bool(_HOOK.match(name))


HONEST_TARGETS = frozenset(
    [
        "sys.stdout",
        "sys.stderr",
        "sys.stdin",
        "sys.excepthook",
        "sys.displayhook",
        "sys.unraisablehook",
        "sys.argv",
        "sys.path",
        "sys.dont_write_bytecode",
        "sys.tracebacklimit",
        "sys.last_type",
        "sys.last_value",
        "sys.ps1",
        "sys.ps2",
        "sys.exitcode",
        "sys.pycache_prefix",
        "threading.excepthook",
        "warnings.showwarning",
        "warnings.formatwarning",
        "logging.raiseExceptions",
        "logging.lastResort",
        "os.environ",
        "socket.socket",
        "ssl._create_default_https_context",
    ]
)
"""Attributes of modules that are made to be assigned."""

DANGEROUS = frozenset(
    [
        "sys",
        "gc",
        "builtins",
        "unittest",
        "unittest.TestCase",
        "inspect",
        "ctypes",
        "__main__",
        "sys.modules[?]",
        "?module",
        "importlib",
        "_pytest",
        "pytest",
    ]
)
"""Owners of which an attribute by a computed name is suspect."""

EXEC = frozenset(["builtins.exec", "builtins.eval"])
EXECUTING = frozenset(
    [
        "builtins.exec",
        "builtins.eval",
        "timeit.timeit",
        "timeit.repeat",
        "timeit.Timer",
        "cProfile.run",
        "cProfile.runctx",
        "profile.run",
        "profile.runctx",
        "typing.ForwardRef",
        "pdb.run",
        "pdb.runeval",
        "bdb.Bdb().run",
        "code.InteractiveInterpreter().runsource",
        "code.InteractiveInterpreter().runcode",
        "code.InteractiveConsole().push",
        "code.InteractiveConsole().runsource",
    ]
)
"""Functions that execute a text."""

DECODING = frozenset(
    [
        "builtins.chr",
        "builtins.bytes.fromhex",
        "builtins.bytearray.fromhex",
        "builtins.int.to_bytes",
        "codecs.decode",
        "codecs.encode",
        "zlib.decompress",
        "gzip.decompress",
        "bz2.decompress",
        "lzma.decompress",
        "binascii.unhexlify",
        "binascii.a2b_hex",
        "binascii.a2b_base64",
        "base64.b64decode",
        "base64.standard_b64decode",
        "base64.urlsafe_b64decode",
        "base64.decodebytes",
        "base64.b32decode",
        "base64.b16decode",
        "base64.b85decode",
        "base64.a85decode",
        "builtins.reversed",
        "struct.pack",
        "builtins.str.maketrans",
    ]
)
"""Functions that turn a hidden text into a readable one."""

READING = frozenset(
    [
        "builtins.open",
        "io.open",
        "os.popen",
        "pkgutil.get_data",
        "linecache.getline",
        "linecache.getlines",
        "tokenize.open",
        "inspect.getsource",
        "inspect.getdoc",
        "inspect.getcomments",
        "urllib.request.urlopen",
        "importlib.resources.read_text",
        "importlib.resources.read_binary",
        "importlib.resources.files",
        "importlib.resources.open_text",
    ]
)
READING_ATTRIBUTES = frozenset(["read_text", "read_bytes", "readline", "readlines", "__doc__"])
"""What reads a text from outside the code."""

WRITING = frozenset(
    [
        "os.remove",
        "os.unlink",
        "os.rename",
        "os.renames",
        "os.replace",
        "os.truncate",
        "os.symlink",
        "os.link",
        "os.chmod",
        "os.utime",
        "os.mkfifo",
        "shutil.copy",
        "shutil.copy2",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "shutil.rmtree",
        "shutil.copymode",
        "posix.remove",
        "posix.unlink",
        "posix.rename",
        "posix.replace",
    ]
)
WRITING_METHODS = frozenset(
    [
        "write_text",
        "write_bytes",
        "unlink",
        "rename",
        "touch",
        "symlink_to",
        "hardlink_to",
        "rmdir",
        "chmod",
    ]
)
LOOKING = frozenset(
    [
        "builtins.open",
        "io.open",
        "os.listdir",
        "os.scandir",
        "os.walk",
        "os.stat",
        "os.lstat",
        "os.access",
        "os.path.exists",
        "os.path.lexists",
        "os.path.isfile",
        "os.path.isdir",
        "os.path.getsize",
        "os.path.getmtime",
        "posixpath.exists",
        "posixpath.isfile",
        "glob.glob",
        "glob.iglob",
        "ast.parse",
        "pathlib.Path",
        "pathlib.PosixPath",
    ]
)
LOOKING_METHODS = frozenset(
    [
        "glob",
        "rglob",
        "iterdir",
        "exists",
        "is_file",
        "is_dir",
        "stat",
        "read_text",
        "read_bytes",
    ]
)
COMMANDS = frozenset(
    [
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
        "subprocess.getoutput",
        "os.system",
        "os.popen",
        "os.execv",
        "os.execvp",
        "os.execl",
        "os.spawnv",
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
    ]
)

SEARCHING = frozenset(f"={name}" for name in ["grep", "egrep", "fgrep", "rg", "ag", "ack"])
"""Programs that find text in files, as words of commands."""

AT_IMPORT = {
    "threading.Thread().start": "starts a thread at import",
    "threading.Thread": "starts a thread at import",
    "threading.Timer().start": "starts a thread at import",
    "threading.Timer": "starts a thread at import",
    "_thread.start_new_thread": "starts a thread at import",
    "multiprocessing.Process": "starts a process at import",
    "atexit.register": "registers a handler at exit (atexit) at import",
    "atexit._run_exitfuncs": "registers a handler at exit (atexit) at import",
    "signal.signal": "sets a signal handler at import",
    "signal.setitimer": "sets a signal timer at import",
    "signal.alarm": "sets a signal timer at import",
    "os.fork": "forks at import",
    "os.forkpty": "forks at import",
    "os.kill": "sends a signal (kill) at import",
    "os.killpg": "sends a signal (kill) at import",
    "os.dup2": "replaces a descriptor at import",
    "faulthandler.register": "sets a signal handler at import",
}
"""Calls that are suspect while a module is imported."""

NAMESPACES = frozenset(
    f"builtins.{name}.__dict__"
    for name in [
        "int",
        "str",
        "float",
        "bool",
        "list",
        "dict",
        "tuple",
        "set",
        "frozenset",
        "bytes",
        "complex",
        "object",
        "type",
        "BaseException",
        "Exception",
        "AssertionError",
    ]
)

WIDE = frozenset(f"builtins.{name}" for name in ["BaseException", "Exception", "AssertionError"])
"""Classes of errors to which the failures of tests belong."""

LIES = frozenset(["__instancecheck__", "__subclasscheck__", "__class__"])
"""Methods that decide what `isinstance` says."""

COMPARING = STATEFUL | {"__len__", "__contains__", "__hash__", "__sub__", "__rsub__", "__abs__"}
PRINTING = frozenset(["__repr__", "__str__", "__format__"])
DECISIVE = COMPARING | PRINTING | LIES
"""Methods that decide what tests see of an object."""

VALUES = frozenset(
    f"builtins.{name}"
    for name in [
        "int",
        "float",
        "complex",
        "str",
        "bytes",
        "bytearray",
        "list",
        "tuple",
        "dict",
        "set",
        "frozenset",
    ]
) | frozenset(
    [
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.Counter",
        "collections.deque",
        "collections.UserList",
        "collections.UserDict",
        "collections.UserString",
        "decimal.Decimal",
        "fractions.Fraction",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
    ]
)
"""Classes of values that tests compare with constants."""

MANAGERS = frozenset(["contextlib.contextmanager", "contextlib.asynccontextmanager"])

DEFAULTS = frozenset(["__defaults__", "__kwdefaults__"])
"""Attributes of functions that decide what their calls mean."""

DOCSTRINGS = frozenset(
    ["inspect.getdoc", "inspect.getsource", "pydoc.getdoc", "inspect.getcomments"]
)
"""Functions that return the docstring of a function."""
