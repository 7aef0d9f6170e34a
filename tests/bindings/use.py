# SPDX-License-Identifier: MIT
"""Each way into a mapping and out of it. TELL is a command that tells the gateway something."""

import asyncio
import os
import subprocess
import time

import natpmp

ADDRESS, PORT = os.environ["GATEWAY"].split(":")
PORT6 = os.environ["PORT6"]
GATEWAY = {"gateway": ADDRESS, "gateway_port": int(PORT)}


def tell(*words):
    told = subprocess.run(os.environ["TELL"].split() + list(words), stdout=subprocess.PIPE, check=True)
    return told.stdout.decode()


def is_open(protocol, internal, external):
    lines = tell("mappings").splitlines()
    return any(l.startswith(protocol + " ") and f":{internal} -> {external} " in l for l in lines)


def expect(what, is_, should=True):
    assert is_ == should, f"{what}: {is_!r}, not {should!r}"


def forget(port):
    tell("port", port)
    tell("restart")
    tell("announce")


def with_block():
    with natpmp.hold(633, 13033, 4, **GATEWAY) as mapping:
        expect("open inside", is_open("tcp", 633, 13033))
        expect("up", mapping.up)
        expect("external address", mapping.external_address, "11.22.33.44")
        expect("own address", mapping.internal_address, "127.0.0.1")
        expect("protocol", mapping.protocol, "tcp")
        expect("expires within its lifetime", 0 < mapping.expires_in <= 4)
        expect("no try to come", mapping.retry_in, None)
        expect("no result code", mapping.result, 0)
        forget("13044")
        for _ in range(200):
            if mapping.external_port == 13044 and mapping.up:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("never heard of another port")
    expect("closed", tell("mappings"), "ok 0\n")
    expect("up afterwards", mapping.up, False)
    expect("expires afterwards", mapping.expires_in, None)
    expect("told afterwards", mapping.external_port, 13044)
    tell("port", "off")
    try:
        with natpmp.hold(634, **GATEWAY):
            raise KeyError("mine")
    except KeyError:
        pass
    expect("closed after an exception", tell("mappings"), "ok 0\n")


async def async_block():
    async with natpmp.hold(900, 1900, 4, "udp", **GATEWAY) as mapping:
        expect("open inside", is_open("udp", 900, 1900))
        threads = len(os.listdir("/proc/self/task"))
        expect("no thread", threads, 1)
        changed = asyncio.ensure_future(mapping.changed())
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, forget, "1944")
        await asyncio.wait_for(changed, 10)
        while mapping.external_port != 1944:  # a busy machine may be late to renew, and be told
            await asyncio.wait_for(mapping.changed(), 10)
        tell("port", "off")
        # Two at once, on one loop.
        async with natpmp.hold(901, protocol="both", **GATEWAY) as second:
            expect("both", second.protocol, "both")
            expect("up", mapping.up and second.up)
    expect("closed", tell("mappings"), "ok 0\n")
    tell("result", "2")
    try:
        async with natpmp.hold(902, **GATEWAY):
            raise AssertionError("ran without a mapping")
    except natpmp.Error as error:
        expect("status", error.status, -62)
    tell("result", "off")


def questions():
    with natpmp.Client(**GATEWAY) as client:
        mapping = client.map(800, lifetime=60, protocol="both")
        expect("TCP of both", is_open("tcp", 800, mapping.external_port))
        expect("UDP of both", is_open("udp", 800, mapping.external_port))
        client.unmap(800, "both")
        expect("closed", tell("mappings"), "ok 0\n")
        tell("port", "1055")
        try:
            client.map(800, 1044, flags=natpmp.EXACT_PORT)
        except natpmp.Error as error:
            expect("status of another port", error.status, -68)
        else:
            raise AssertionError("took another port")
        mapping = client.map(800, flags=natpmp.ANY_PORT)
        expect("flags as wanted", mapping.flags, natpmp.ANY_PORT)
        client.unmap(800)
        tell("port", "off")
        expect("address", client.external_address(), "11.22.33.44")


def expect_status(what, status, attempt):
    try:
        attempt()
    except natpmp.Error as error:
        expect(what, error.status, status)
    else:
        raise AssertionError(f"succeeded: {what}")


def dialects():
    tell("profile", "rfc-pcp")
    for named in "natpmp", "pcp":
        with natpmp.Client(dialect=named, **GATEWAY) as client:
            mapping = client.map(810, lifetime=60)
            expect("dialect", mapping.dialect, named)
            expect("address", mapping.external_address, "11.22.33.44")
            client.unmap(810)
    wanted = natpmp.hold(811, 0, 4, **GATEWAY)
    expect("dialect before it is made", wanted.dialect, None)
    with wanted as mapping:
        expect("PCP comes first", mapping.dialect, "pcp")
        expect("in PCP", "pcp" in tell("mappings"))
        tell("profile", "rfc")  # its router is one without PCP now
        for _ in range(200):
            if mapping.dialect == "natpmp" and mapping.up:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("never moved to NAT-PMP")
    tell("profile", "rfc-pcp")
    tell("restart")
    expect("nothing left", tell("mappings"), "ok 0\n")


def secret():
    secret_bytes = b"\0 is a byte, too"  # the gateway checks nonces, which come of it
    with natpmp.Client(secret=secret_bytes, dialect="pcp", **GATEWAY) as client:
        client.map(812, lifetime=60)
    with natpmp.Client(secret=secret_bytes[:-1] + b"0", dialect="pcp", **GATEWAY) as client:
        expect_status("renewed with another secret", -62, lambda: client.map(812))
        expect_status("closed with another secret", -62, lambda: client.unmap(812))
    with natpmp.Client(secret=bytearray(secret_bytes), dialect="pcp", **GATEWAY) as client:
        client.map(812, lifetime=60)
        client.unmap(812)
    expect("closed", tell("mappings"), "ok 0\n")


def ipv6():
    for family in 6, "ipv6":
        with natpmp.hold(813, family=family, gateway="::1", gateway_port=int(PORT6)) as mapping:
            expect("open inside", "tcp [::1]:813 -> 813 " in tell("mappings"))
            expect("own address", mapping.internal_address, "::1")
            expect("dialect", mapping.dialect, "pcp")
            expect("shown", "-> [::1]:813 for" in repr(mapping))
    expect("closed", tell("mappings"), "ok 0\n")
    expect_status("IPv6 by NAT-PMP", -1, lambda: natpmp.Client(family=6, dialect="natpmp"))
    with natpmp.Client(family="ipv4", dialect="auto", **GATEWAY) as client:
        expect("address", client.external_address(), "11.22.33.44")


def wrong():
    for named, attempt in {
        "sctp": lambda: natpmp.hold(1, protocol="sctp"),
        "65536": lambda: natpmp.hold(65536),
        "-1": lambda: natpmp.hold(1, lifetime=-1),
        "bogus": lambda: natpmp.Client(gateway="bogus"),
        "upnp": lambda: natpmp.Client(dialect="upnp"),
        "5": lambda: natpmp.Client(family=5),
        "16": lambda: natpmp.Client(secret=b"short"),
        "64": lambda: natpmp.Client(secret=bytes(65)),
    }.items():
        try:
            attempt()
        except (ValueError, natpmp.Error) as error:
            expect(f"{error} names {named}", named in str(error))
        else:
            raise AssertionError(f"taken: {named}")


asyncio.run(async_block())
tell("port", "off")
with_block()
questions()
dialects()
secret()
if PORT6:
    ipv6()
wrong()
print("all as expected")
