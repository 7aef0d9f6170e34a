# SPDX-License-Identifier: MIT
"""NAT-PMP and PCP for Python: the libnatpmpc library by ctypes.

    import natpmp

    with natpmp.hold(8080) as mapping:            # renewed until this exits
        print(mapping.external_address, mapping.external_port)

    async with natpmp.hold(8080) as mapping:      # the same on asyncio's loop, with no thread
        await mapping.changed()                   # another port or address, down, up again

    with natpmp.Client() as client:               # left to its lifetime
        print(client.map(8080, lifetime=3600))

Needs libnatpmpc.so.0 where the loader finds it, or its path in the environment variable NATPMPC_LIBRARY;
nothing is compiled. Options of all these: gateway, gateway_port, interface, source, deadline (ms), vpn_ports,
dialect ("auto", "natpmp" or "pcp"), family (4 or 6, also "ipv4" or "ipv6"), secret (16 to 64 bytes, to be kept
secret: with the same ones a later program can renew and close by PCP what this one has opened).
"""

import asyncio
import ctypes
import os
import threading

__all__ = ["ANY_PORT", "EXACT_PORT", "Client", "Error", "Mapping", "hold"]

# Flags of a mapping: suggest no external port; or that external port or none.
ANY_PORT, EXACT_PORT = 1, 2

# ---------------------------------------------------------------------------------------------------
# natpmpc.h. All that is known of how its structs are laid out is here; a test compares it with the
# header.


class _Mapping(ctypes.Structure):
    _fields_ = [
        ("protocol", ctypes.c_int),
        ("internal_port", ctypes.c_uint16),
        ("external_port", ctypes.c_uint16),
        ("lifetime", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("internal_address", ctypes.c_char * 46),
        ("external_address", ctypes.c_char * 46),
        ("dialect", ctypes.c_int),
        ("reserved", ctypes.c_uint32 * 6),
    ]


class _State(ctypes.Structure):
    _fields_ = [
        ("status", ctypes.c_int),
        ("mapping", _Mapping),
        ("failures", ctypes.c_uint),
        ("result", ctypes.c_int),
        ("expires_in", ctypes.c_uint64),
        ("retry_in", ctypes.c_uint64),
        ("reserved", ctypes.c_uint32 * 6),
    ]


class _Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("gateway", ctypes.c_char_p),
        ("gateway_port", ctypes.c_uint16),
        ("interface", ctypes.c_char_p),
        ("source", ctypes.c_char_p),
        ("deadline", ctypes.c_uint32),
        ("log", ctypes.c_void_p),
        ("log_arg", ctypes.c_void_p),
        ("vpn_ports", ctypes.c_int),
        ("dialect", ctypes.c_int),
        ("family", ctypes.c_int),
        ("secret", ctypes.c_char_p),
        ("secret_size", ctypes.c_size_t),
    ]


_OK, _PENDING, _SYSTEM = 0, 1, -21
_NEVER = 2**64 - 1
_PROTOCOLS = {"udp": 1, "tcp": 2, "both": 3}
_DIALECTS = {"auto": 0, "natpmp": 1, "pcp": 2}
_FAMILIES = {4: 0, "ipv4": 0, 6: 1, "ipv6": 1}
_SECRET_MIN, _SECRET_MAX = 16, 64

_pointer, _int = ctypes.c_void_p, ctypes.c_int
_body_fn = ctypes.CFUNCTYPE(_int, _pointer, ctypes.POINTER(_Mapping), _pointer)
_event_fn = ctypes.CFUNCTYPE(
    None, _pointer, ctypes.POINTER(_State), ctypes.POINTER(_State), _pointer
)
_library = ctypes.CDLL(os.environ.get("NATPMPC_LIBRARY", "libnatpmpc.so.0"), use_errno=True)


def _function(name, result, *arguments):
    function = getattr(_library, "natpmp_" + name)
    function.restype, function.argtypes = result, arguments
    return function


_strerror = _function("strerror", ctypes.c_char_p, _int)
_new = _function("new", _int, ctypes.POINTER(_pointer), ctypes.POINTER(_Options))
_free = _function("free", _int, _pointer)
_map = _function("map", _int, _pointer, ctypes.POINTER(_Mapping))
_unmap = _function("unmap", _int, _pointer, ctypes.POINTER(_Mapping))
_external_address = _function("external_address", _int, _pointer, ctypes.c_char_p)
_with_mapping = _function(
    "with_mapping", _int, _pointer, ctypes.POINTER(_Mapping), _body_fn, _pointer
)
_hold = _function(
    "hold", _int, _pointer, ctypes.POINTER(_Mapping), _event_fn, _pointer, ctypes.POINTER(_pointer)
)
_lease_state = _function("lease_state", _int, _pointer, ctypes.POINTER(_State))
_fd = _function("fd", _int, _pointer)
_timeout = _function("timeout", _int, _pointer)
_process = _function("process", _int, _pointer)

# ---------------------------------------------------------------------------------------------------


class Error(OSError):
    """What the library said no with; status is that of natpmpc.h."""

    def __init__(self, status, about=""):
        message = _strerror(status).decode()
        if status == _SYSTEM:
            message += ": " + os.strerror(ctypes.get_errno())
        super().__init__(f"{message} ({about})" if about else message)
        self.status = status


def _check(status, about=""):
    if status != _OK:
        raise Error(status, about)


def _port(number):
    if not 0 <= number <= 65535:
        raise ValueError(f"{number} is not a port: 0 to 65535")
    return number


def _number(what, value, numbers):
    if value not in numbers:
        raise ValueError(f"{what} is {value!r}, not one of {', '.join(map(repr, numbers))}")
    return numbers[value]


def _secret(secret):
    """Never in a message."""
    if not isinstance(secret, (bytes, bytearray, type(None))):
        raise TypeError("secret has to be bytes")
    if secret is not None and not _SECRET_MIN <= len(secret) <= _SECRET_MAX:
        raise ValueError(f"secret has {len(secret)} bytes: {_SECRET_MIN} to {_SECRET_MAX}")
    return None if secret is None else bytes(secret)


def _wanted(internal_port, external_port, lifetime, protocol, flags=0):
    if protocol not in _PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}, not 'tcp', 'udp' or 'both'")
    if not 0 <= lifetime < 2**32:
        raise ValueError(f"{lifetime} is not a lifetime: seconds, 0 to {2**32 - 1}")
    ports = _port(internal_port), _port(external_port)
    return _Mapping(_PROTOCOLS[protocol], *ports, lifetime, flags)


def _join(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Mapping:
    """A mapping as the gateway granted it."""

    def __init__(self, raw):
        self._raw = raw

    def _now(self):
        return self._raw

    @property
    def protocol(self):
        """tcp, udp or both."""
        return next(name for name, bits in _PROTOCOLS.items() if bits == self._raw.protocol)

    internal_port = property(lambda self: self._now().internal_port)
    external_port = property(lambda self: self._now().external_port)
    lifetime = property(lambda self: self._now().lifetime)
    flags = property(lambda self: self._now().flags)
    internal_address = property(lambda self: self._now().internal_address.decode())
    external_address = property(lambda self: self._now().external_address.decode())

    @property
    def dialect(self):
        """natpmp or pcp, in which it was made; None: not made so far."""
        number = self._now().dialect
        return next(name for name, is_ in _DIALECTS.items() if is_ == number) if number else None

    def __repr__(self):
        external = _join(self.external_address, self.external_port)
        internal = _join(self.internal_address, self.internal_port)
        return f"<natpmp {self.protocol} {external} -> {internal} for {self.lifetime} s>"


class Client:
    """Questions to one gateway. Its calls wait, for 7.75 s at most if no deadline is given."""

    def __init__(self, *, gateway=None, gateway_port=0, interface=None, source=None, deadline=0,
                 vpn_ports=False, dialect="auto", family=4, secret=None):
        text = [None if s is None else s.encode() for s in (gateway, interface, source)]
        secret = _secret(secret)
        options = _Options(ctypes.sizeof(_Options), text[0], _port(gateway_port), text[1], text[2],
                           deadline, None, None, vpn_ports,
                           _number("dialect", dialect, _DIALECTS),
                           _number("family", family, _FAMILIES), secret, len(secret or b""))
        self._ctx = _pointer()
        given = [name for name in (gateway, interface, source) if name is not None]
        _check(_new(ctypes.byref(self._ctx), ctypes.byref(options)), ", ".join(given))

    def map(self, internal_port, external_port=0, lifetime=0, protocol="tcp", flags=0):
        """Open a mapping and leave it to its lifetime."""
        raw = _wanted(internal_port, external_port, lifetime, protocol, flags)
        _check(_map(self._ctx, ctypes.byref(raw)))
        return Mapping(raw)

    def unmap(self, internal_port, protocol="tcp"):
        """Close one; one that is not open is fine."""
        _check(_unmap(self._ctx, ctypes.byref(_wanted(internal_port, 0, 0, protocol))))

    def external_address(self):
        """The gateway's, or None if it has none to tell."""
        address = ctypes.create_string_buffer(46)
        _check(_external_address(self._ctx, address))
        return address.value.decode() or None

    def close(self):
        """Let go of everything; an Error tells that a mapping could not be closed for sure."""
        if self._ctx:
            ctx, self._ctx = self._ctx, None
            _check(_free(ctx))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class hold(Mapping):  # pylint: disable=invalid-name # used like open()
    """A mapping that is kept open in a with block, or in an async with block.

    Its properties are those of now, for as long as the block runs, and the last ones afterwards.
    """

    def __init__(self, internal_port, external_port=0, lifetime=0, protocol="tcp", flags=0,
                 **options):
        super().__init__(_wanted(internal_port, external_port, lifetime, protocol, flags))
        self._options = options
        self._state = _State(status=_PENDING, retry_in=_NEVER)
        self._lease = None  # only while the block runs, and other threads may ask for it
        self._lock = threading.Lock()

    def _now(self):
        with self._lock:
            if self._lease:
                state = _State()
                _check(_lease_state(self._lease, ctypes.byref(state)))
                self._state, self._raw = state, state.mapping
            return self._raw

    def _ended(self):
        self._now()
        with self._lock:
            self._lease = None
            self._state = _State(status=_PENDING, retry_in=_NEVER)

    def _state_now(self):
        self._now()
        return self._state

    @property
    def up(self):
        """Is it open, as far as is known? A gateway may be away for a while."""
        return self._state_now().status == _OK

    @property
    def result(self):
        """The gateway's result code behind the last failure; 0: none."""
        return self._state_now().result

    @property
    def expires_in(self):
        """Up: seconds until its lifetime ends, unless it is renewed. Else None."""
        state = self._state_now()
        return state.expires_in / 1000 if state.status == _OK else None

    @property
    def retry_in(self):
        """Not up: seconds until the next try. None if it is up, or waits for something else."""
        state = self._state_now()
        return None if state.status == _OK or state.retry_in == _NEVER else state.retry_in / 1000

    # --- with: the library's own thread renews it ---

    def __enter__(self):
        self._over, self._opened, self._failure = threading.Event(), threading.Event(), None
        self._keeper = threading.Thread(target=self._keep, name="natpmp")
        self._keeper.start()
        self._opened.wait()
        if self._failure:
            self._keeper.join()
            raise self._failure
        return self

    def __exit__(self, *_):
        self._over.set()
        self._keeper.join()

    def _keep(self):
        """natpmp_with_mapping() may not be left by an exception, so it has a thread of its own."""

        def body(lease, _granted, _arg):
            self._lease = lease
            self._opened.set()
            self._over.wait()
            self._ended()
            return _OK

        try:
            with Client(**self._options) as client:
                callback = _body_fn(body)
                _check(_with_mapping(client._ctx, ctypes.byref(self._raw), callback, None))
        except Exception as error:  # pylint: disable=broad-except # told where it was asked for
            self._failure = error
            self._opened.set()

    # --- async with: the loop drives it, no thread ---

    async def __aenter__(self):
        self._loop = asyncio.get_running_loop()
        self._news, self._timer = asyncio.Event(), None
        self._client = Client(**self._options)
        self._callback = _event_fn(self._on_event)  # as long as the library may call it
        lease = _pointer()
        try:
            _check(_hold(self._client._ctx, ctypes.byref(self._raw), self._callback, None,
                         ctypes.byref(lease)))
            self._loop.add_reader(_fd(self._client._ctx), self._drive)
            self._lease = lease
            self._drive()
            await self.changed()
            _check(self._state_now().status)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        self._loop.remove_reader(_fd(self._client._ctx))
        if self._timer:
            self._timer.cancel()
        self._ended()
        # Closing waits for the gateway, 2 s at most; the loop goes on.
        await asyncio.shield(self._loop.run_in_executor(None, self._client.close))

    async def changed(self):
        """Wait for the next change: up, down, another external port or address."""
        await self._news.wait()
        self._news.clear()

    def _on_event(self, _lease, _before, _now, _arg):
        self._news.set()

    def _drive(self):
        _check(_process(self._client._ctx))
        if self._timer:
            self._timer.cancel()
        wait = _timeout(self._client._ctx)
        self._timer = self._loop.call_later(wait / 1000, self._drive) if wait >= 0 else None
