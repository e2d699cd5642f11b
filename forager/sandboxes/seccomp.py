"""The filter of system calls in a bubblewrap sandbox, as a program for the kernel.

It refuses the calls that make namespaces (in its own, a process would have all capabilities, and
reach much more of the kernel), and calls that need no capability but that Docker's default profile
refuses too. The program is classic BPF over `struct seccomp_data`; see seccomp(2).
"""

import errno
import platform
import struct

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # SECCOMP_RET_*
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF instructions
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEWNS | … | CLONE_NEWNET | CLONE_NEWTIME
_NEW_NAMESPACES_CLONE = 0x7E020000  # in clone() the bit of CLONE_NEWTIME is part of the signal
_FOREIGN = 0x40000000  # system calls of x86-64's x32 ABI start here

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column below, architecture
_CLONE, _CLONE3, _UNSHARE = (56, 220), (435, 435), (272, 97)
_REFUSED = {  # whatever their arguments
    "add_key": (248, 217),
    "bpf": (321, 280),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "request_key": (249, 218),
    "setns": (308, 268),
    "umount2": (166, 39),
    "userfaultfd": (323, 282),
}


def program() -> bytes:
    """Return the filter for this machine; empty for a processor that is not in the tables."""
    if platform.machine() not in _MACHINES:
        return b""
    column, architecture = _MACHINES[platform.machine()]
    refuse, unknown = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    return b"".join(
        [
            _step(_LOAD, _ARCHITECTURE),
            _step(_EQUAL, architecture, 1, 0),
            _step(_RETURN, unknown),
            _step(_LOAD, _NUMBER),
            *_when(_AT_LEAST, _FOREIGN, unknown),
            *_when(
                _EQUAL, _CLONE3[column], unknown
            ),  # a filter cannot read its flags; libraries fall back to clone
            *(
                step
                for numbers in _REFUSED.values()
                for step in _when(_EQUAL, numbers[column], refuse)
            ),
            *_when_flags(_CLONE[column], _NEW_NAMESPACES_CLONE, refuse),
            *_when_flags(_UNSHARE[column], _NEW_NAMESPACES, refuse),
            _step(_RETURN, _ALLOW),
        ]
    )


def _when(test: int, value: int, result: int) -> list[bytes]:
    return [_step(test, value, 0, 1), _step(_RETURN, result)]


def _when_flags(number: int, flags: int, result: int) -> list[bytes]:
    """Give `result` for a call whose first argument has one of the flags; allow others."""
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT),
        *_when(_ANY_BIT, flags, result),
        _step(_RETURN, _ALLOW),
    ]


def _step(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)
