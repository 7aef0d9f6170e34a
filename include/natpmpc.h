/* SPDX-License-Identifier: MIT */
/*
 * natpmpc.h - ask the home router to forward a TCP or UDP port to this host, or
 * its IPv6 firewall to let it in.
 *
 * A client of the NAT Port Mapping Protocol (NAT-PMP, RFC 6886) and the Port
 * Control Protocol (PCP, RFC 6887). Words are the RFCs': a mapping forwards an
 * external port of the gateway to an internal port of this host, for a lifetime
 * in seconds.
 *
 *   natpmp_ctx *ctx;
 *   natpmp_mapping m = { .protocol = NATPMP_TCP, .internal_port = 633 };
 *   if (natpmp_new(&ctx, NULL) == NATPMP_OK && natpmp_map(ctx, &m) == NATPMP_OK)
 *           printf("%s:%u\n", m.external_address, m.external_port);
 *
 * A mapping opens this host: the program on the internal port must be ready for
 * traffic from anywhere (RFC 6886 section 5).
 *
 * Threads: a context may be used from several threads at once; its calls take
 * turns. Nothing is shared between contexts. After fork() the child may only
 * call natpmp_free(), which then sends nothing; every other call answers
 * NATPMP_E_FORKED, natpmp_timeout() -1. No call is a cancellation point
 * (pthread_cancel), except the body of natpmp_with_mapping().
 *
 * Members named reserved leave room for later ones. Set them to 0, else the call
 * is INVALID; the library fills them with 0.
 */
#ifndef NATPMPC_H
#define NATPMPC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(NATPMPC_API)
#define NATPMPC_API __attribute__((visibility("default")))
#elif !defined(NATPMPC_API)
#define NATPMPC_API
#endif

#define NATPMPC_VERSION_MAJOR 0
#define NATPMPC_VERSION_MINOR 1
#define NATPMPC_VERSION_PATCH 0
#define NATPMPC_VERSION "0.1.0"

/* The version of the library in use, as NATPMPC_VERSION is that of this header. */
NATPMPC_API const char *natpmp_version(void);

/* -------------------------------------------------------------- status -- */

/* The result of a call, or why a held mapping is down. Functions that return int return
 * one of these, unless their comment says otherwise. New codes are only ever added:
 * treat an unknown negative one as a failure. */
typedef enum natpmp_status {
	NATPMP_PENDING = 1, /* held, and neither granted nor refused so far */
	NATPMP_OK = 0,

	/* the caller's mistake */
	NATPMP_E_INVALID = -1, /* an argument is out of its range */
	NATPMP_E_ADDRESS = -2, /* not a usable address of that family (gateway or source) */
	NATPMP_E_HELD = -3,    /* this context holds or is mapping that protocol and port already */
	NATPMP_E_BUSY = -4,    /* a blocking call or natpmp_free() from inside a callback */
	NATPMP_E_FORKED = -5,  /* the context belongs to the parent process */

	/* this machine */
	NATPMP_E_NO_MEMORY = -20,
	NATPMP_E_SYSTEM = -21,         /* a system call failed; errno says why */
	NATPMP_E_NO_INTERFACE = -22,   /* no interface of that name */
	NATPMP_E_NO_GATEWAY = -23,     /* no default route */
	NATPMP_E_POINT_TO_POINT = -24, /* the default route names no gateway: name one */
	NATPMP_E_NO_ROUTE = -25,       /* no route to the named gateway, or not from that source */
	NATPMP_E_NO_PORT = -26,        /* no free local port could be picked */
	NATPMP_E_NETLINK = -27,        /* no AF_NETLINK to look up the gateway with: name one */
	NATPMP_E_NO_ADDRESS = -28,     /* this host has no global IPv6 address */

	/* no usable answer */
	NATPMP_E_TIMEOUT = -40,     /* silence until the deadline */
	NATPMP_E_NO_SERVICE = -41,  /* silence through all nine sends: no port mapping service */
	NATPMP_E_UNREACHABLE = -42, /* silence, and the network said: host or net unreachable */
	NATPMP_E_REFUSED = -43,     /* ICMP port unreachable: the gateway runs no such service now */
	NATPMP_E_BAD_ANSWER = -44,  /* success, but with external port or lifetime zero */
	NATPMP_E_FIREWALL = -45,    /* a firewall of this host does not let the request out */

	/* the gateway said no: its result code in NAT-PMP (RFC 6886 section 3.5) / in PCP (RFC
	 * 6887 section 7.4) */
	NATPMP_E_VERSION = -61,         /* 1/1: speaks none of the dialects that we may use */
	NATPMP_E_NOT_AUTHORIZED = -62,  /* 2/2: switched off, forbidden, or not ours */
	NATPMP_E_NETWORK_FAILURE = -63, /* 3/7: the gateway has no external address */
	NATPMP_E_NO_RESOURCES = -64,    /* 4/8: no more mappings at this time */
	NATPMP_E_OPCODE = -65,          /* 5/4: unsupported opcode */
	NATPMP_E_RESULT = -66,          /* any other code; RFC 6886 demands: fatal */
	NATPMP_E_PORTS_DIFFER = -67,    /* TCP and UDP could not get one equal external port */
	NATPMP_E_OTHER_PORT = -68,      /* -/11: NATPMP_EXACT_PORT, and it is not to be had */
	NATPMP_E_MALFORMED = -69,       /* -/3, 6: the gateway does not like our request */
	NATPMP_E_OPTION = -70,          /* -/5: unsupported option */
	NATPMP_E_PROTOCOL = -71,        /* -/9: it does not map that protocol */
	NATPMP_E_QUOTA = -72,           /* -/10: this host has its share of mappings */
	NATPMP_E_ADDRESS_MISMATCH = -73 /* -/12: there is another NAT between us and the gateway */
} natpmp_status;

/* One line for people; never NULL, static, for any value. */
NATPMPC_API const char *natpmp_strerror(int status);

/* ------------------------------------------------------------- context -- */

typedef struct natpmp_ctx natpmp_ctx;

/* What the library does, line by line, for debugging. Called with the context locked: do
 * not call the library from it. */
typedef void natpmp_log_fn(void *arg, const char *line);

/* A dialect: one of the protocols that open ports. */
typedef enum natpmp_dialect {
	NATPMP_DIALECT_AUTO = 0,   /* PCP if the gateway speaks it, else NAT-PMP */
	NATPMP_DIALECT_NATPMP = 1, /* NAT-PMP only */
	NATPMP_DIALECT_PCP = 2     /* PCP only */
} natpmp_dialect;

typedef enum natpmp_family {
	NATPMP_IPV4 = 0,
	NATPMP_IPV6 = 1 /* the ports of a global address of this host, by PCP only */
} natpmp_family;

typedef struct natpmp_options {
	size_t size;            /* sizeof(natpmp_options); NATPMP_OPTIONS_INIT sets it */
	const char *gateway;    /* address, an IPv6 one may end in %interface; NULL = next hop of
	                         * the family's default route */
	uint16_t gateway_port;  /* 0 = 5351 */
	const char *interface;  /* use this interface's routes only; NULL = the kernel's choice */
	const char *source;     /* own address to send from; NULL = the kernel's choice */
	uint32_t deadline;      /* ms; how long a blocking call may wait, and how long a new hold
	                         * stays pending in silence; 0 = 7750, five sends (RFC 6886
	                         * section 3.1); the whole series takes 127750: give 128000 */
	natpmp_log_fn *log;     /* NULL = silence */
	void *log_arg;
	int vpn_ports;          /* not 0: the gateway is a VPN provider's, which hands out one
	                         * external port per client and forwards it to the same number.
	                         * Ask for internal port 0; the granted mapping names the port to
	                         * listen on. Nothing is deleted: port 0 would delete all.
	                         * Speaks NAT-PMP only. */
	natpmp_dialect dialect;
	natpmp_family family;   /* a context is one gateway of one family */
	const void *secret;     /* PCP: whoever knows it can renew and delete the mappings of this
	                         * context (RFC 6887 section 11.2), so a program that keeps it can
	                         * do so after a restart; NULL = a random one */
	size_t secret_size;     /* bytes, 16 to 64 */
} natpmp_options;

#define NATPMP_OPTIONS_INIT \
	{ sizeof(natpmp_options), NULL, 0, NULL, NULL, 0, NULL, NULL, 0, \
	  NATPMP_DIALECT_AUTO, NATPMP_IPV4, NULL, 0 }

/*
 * Make a context. options may be NULL for all defaults; only the log callback is kept.
 * The gateway is looked up when it is needed, so this succeeds without a network.
 * Errors: INVALID (options->size unknown, name too long, secret too short or too long,
 * a dialect that the family or vpn_ports excludes), ADDRESS, NO_MEMORY, SYSTEM (no random
 * numbers). On error *ctx is NULL.
 */
NATPMPC_API int natpmp_new(natpmp_ctx **ctx, const natpmp_options *options);

/*
 * Free the context. Mappings that are still held are closed: one deletion each, one after
 * another while the gateway answers, and after 2000 ms the rest without waiting, so this
 * takes about 2 s at most. NULL is fine. No other thread may be inside a call on it.
 * NATPMP_OK: nothing is left open, except what natpmp_map() left to its lifetime and what
 * a gateway with vpn_ports gave. Otherwise: why a mapping that was closed now, or by an
 * earlier natpmp_release(), may still be open; it ends with its lifetime. The context is
 * gone in any case, except with BUSY (inside a callback or natpmp_with_mapping()).
 */
NATPMPC_API int natpmp_free(natpmp_ctx *ctx);

/* ------------------------------------------------------------- mapping -- */

/* Room for any address as text, IPv6 included, and its end. */
#define NATPMP_ADDRESS_LEN 46

typedef enum natpmp_protocol { /* a set of bits; the RFC's opcodes */
	NATPMP_UDP = 1,
	NATPMP_TCP = 2,
	NATPMP_TCP_UDP = 3 /* both, on one equal external port */
} natpmp_protocol;

typedef struct natpmp_mapping {
	natpmp_protocol protocol;
	uint16_t internal_port; /* wanted: 0 = pick a free local port */
	uint16_t external_port; /* wanted: a suggestion, 0 = the internal port's number;
	                         * granted: what the gateway assigned, maybe another */
	uint32_t lifetime;      /* s; wanted: 0 = 7200; granted: what the gateway gave */
	uint32_t flags;         /* natpmp_flags; granted: as wanted */
	/* The addresses are only ever written, never read, by the library. */
	char internal_address[NATPMP_ADDRESS_LEN]; /* this host, as the gateway sees it */
	char external_address[NATPMP_ADDRESS_LEN]; /* "" = the gateway has none to tell */
	natpmp_dialect dialect; /* granted: the one that it was made in; never read, either */
	uint32_t reserved[6];
} natpmp_mapping;

typedef enum natpmp_flags { /* of a mapping as wanted; at most one of them */
	NATPMP_ANY_PORT = 1,  /* suggest no external port at all; external_port has to be 0 */
	NATPMP_EXACT_PORT = 2 /* the suggested external port or none: any other one is given back
			       * at once (OTHER_PORT) */
} natpmp_flags;

/*
 * Open a mapping and leave it to its lifetime; *mapping goes in as wanted and comes out as
 * granted (on error: untouched). To extend it, map again. One exchange in PCP; in NAT-PMP
 * two: the mapping, then the external address, without which it is good, too. Blocks
 * until the deadline at most, or all nine sends of RFC 6886 section 3.1 (NO_SERVICE). After
 * a time-out the gateway may still have opened it. If only a part of it was granted
 * (NATPMP_TCP_UDP, NATPMP_EXACT_PORT), closing that takes up to 2 s more. The port that is
 * picked for internal port 0 was free a moment ago; bind it soon.
 * Errors: INVALID, ADDRESS (the source is not this host's), HELD, BUSY, FORKED, and all
 * from NO_MEMORY down.
 */
NATPMPC_API int natpmp_map(natpmp_ctx *ctx, natpmp_mapping *mapping);

/*
 * Close the mapping of mapping->protocol and mapping->internal_port; the other members do
 * not matter (RFC 6886 section 3.4). Closing what is not open is a success. Internal port
 * 0, which on the wire would delete everything, is INVALID. Blocks until the deadline at
 * most. Errors: as natpmp_map().
 */
NATPMPC_API int natpmp_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping);

/*
 * Close every mapping of that protocol that the gateway has for this host's address, also
 * those of other programs here, and those made by hand if the gateway deletes them. Some
 * gateways delete both protocols', so this is HELD while this context holds anything.
 * Errors: else as natpmp_map().
 */
NATPMPC_API int natpmp_unmap_all(natpmp_ctx *ctx, natpmp_protocol protocol);

/* Ask for the gateway's external address. "" with NATPMP_OK if the gateway tells one that
 * cannot be its own (0.0.0.0, loopback, multicast). PCP has no such question: where only PCP
 * is spoken, UDP port 9 is mapped for a moment (RFC 6887 section 11.6). Errors: INVALID,
 * ADDRESS, BUSY, FORKED, and all from NO_MEMORY down. */
NATPMPC_API int natpmp_external_address(natpmp_ctx *ctx, char address[NATPMP_ADDRESS_LEN]);

/* What kind of address is that? Anything but PUBLIC cannot be reached from the
 * internet: then there is another NAT in front of this gateway. */
typedef enum natpmp_address_kind {
	NATPMP_ADDRESS_NONE = 0,   /* "" or not an address */
	NATPMP_ADDRESS_PUBLIC,
	NATPMP_ADDRESS_PRIVATE,    /* RFC 1918, RFC 4193 */
	NATPMP_ADDRESS_SHARED,     /* 100.64/10, the provider's NAT (RFC 6598) */
	NATPMP_ADDRESS_LINK_LOCAL, /* 169.254/16, fe80::/10 */
	NATPMP_ADDRESS_RESERVED    /* loopback, documentation, multicast, ... (RFC 6890) */
} natpmp_address_kind;
NATPMPC_API natpmp_address_kind natpmp_classify(const char *address);

/* ---------------------------------------------------------------- hold -- */

/* A lease is a mapping that is kept: renewed at half its lifetime, made again after the
 * gateway restarted, moved to a new gateway. It is up, or it is down for a reason and being
 * brought back. */
typedef struct natpmp_lease natpmp_lease;

typedef struct natpmp_state {
	int status;             /* NATPMP_OK = up, NATPMP_PENDING = not yet known, else why it is down */
	natpmp_mapping mapping; /* up: as granted. Else: as last granted, or as wanted, with the
				 * port that was picked for 0 */
	unsigned failures;      /* tries in a row that failed; up again: those before */
	int result;             /* the gateway's result code behind the last failure; 0 = none */
	uint64_t expires_in;    /* ms, up: until its lifetime ends by this host's view */
	uint64_t retry_in;      /* ms, not up: until the next try; 0 = it waits for its turn or an
				 * answer; UINT64_MAX = it waits for something else */
	uint32_t reserved[6];
} natpmp_state;

/*
 * Called once for every change of a lease (up to down, down to up, another reason, another
 * external port or address) and for nothing else. before and now are valid during the call.
 * In it every call is allowed, even natpmp_release() of this lease, except blocking ones,
 * natpmp_process() and natpmp_free(). It runs on the thread that processes the context
 * (natpmp_process(), a blocking call, the thread of natpmp_with_mapping()) with the context
 * locked: do not wait in it for a thread that calls the library.
 */
typedef void natpmp_event_fn(natpmp_lease *lease, const natpmp_state *before,
			     const natpmp_state *now, void *arg);

/*
 * Hold a mapping until natpmp_release(). Returns at once; the first event tells how it went:
 * up, or down as soon as the gateway says no, or when the deadline is over in silence (later,
 * if other holds have their turn first). on_event may be NULL: ask natpmp_lease_state(). The
 * context has to be driven: by natpmp_process(), or by other calls in progress.
 * Errors: INVALID, HELD, FORKED, NO_MEMORY, SYSTEM, NO_PORT. On error *lease is NULL.
 */
NATPMPC_API int natpmp_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted,
			    natpmp_event_fn *on_event, void *arg, natpmp_lease **lease);

/* End a lease: the deletion of its mapping is queued and sent by later calls, also by
 * natpmp_free(); no event follows, and the pointer is invalid. NULL is fine. Errors: FORKED;
 * INVALID for the lease of natpmp_with_mapping(), which ends it itself. */
NATPMPC_API int natpmp_release(natpmp_lease *lease);

/* Try again now, if the lease is not up: no waiting for the next try. Errors: INVALID, FORKED. */
NATPMPC_API int natpmp_retry(natpmp_lease *lease);

/* The lease as it is now, whether or not an event has told. Errors: INVALID, FORKED. */
NATPMPC_API int natpmp_lease_state(natpmp_lease *lease, natpmp_state *state);

/* For a program with its own loop: wait until the descriptor is readable or the timeout is
 * over, then call natpmp_process(). A loop that never calls natpmp_timeout() may wait for
 * the descriptor alone. It stays the same for the life of the context; do not read or close
 * it. Errors: INVALID, SYSTEM, FORKED. */
NATPMPC_API int natpmp_fd(natpmp_ctx *ctx);
/* ms, 0 = now, -1 = never, as poll(2) has it; it changes with every call on the context. */
NATPMPC_API int natpmp_timeout(natpmp_ctx *ctx);
/* Do what is due, call the callbacks; never blocks. Errors: INVALID, BUSY (callback), FORKED. */
NATPMPC_API int natpmp_process(natpmp_ctx *ctx);

/* --------------------------------------------------------------- scope -- */

/* What runs while a mapping is held: lease to look at, mapping as first granted. */
typedef int natpmp_body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg);

/*
 * Open a mapping, run body on this thread, renew the mapping from a thread of its own (all
 * signals blocked in it) while body runs, close the mapping. Returns what body returned,
 * which should not be negative; or, if body did not run, a negative natpmp_status: as
 * natpmp_map(). The mapping is closed, too, if the thread is cancelled or ends inside body
 * (pthread_cancel, pthread_exit); do not leave body by longjmp or an exception. In it every
 * call on the context is allowed except natpmp_free(). natpmp_lease_state(lease) tells the
 * mapping as it is now, and whether it is up. Closing waits 2 s at most.
 */
NATPMPC_API int natpmp_with_mapping(natpmp_ctx *ctx, const natpmp_mapping *wanted,
				    natpmp_body *body, void *arg);

/* ------------------------------------------------------------- looking -- */

/* Where this context's requests go, by the routes as they are now. */
typedef struct natpmp_link {
	char gateway[NATPMP_ADDRESS_LEN];          /* "" = none; on error the one named */
	uint16_t gateway_port;
	char internal_address[NATPMP_ADDRESS_LEN]; /* own address towards it, "" = none */
	char interface[32];                        /* "" = none */
	uint32_t reserved[8];
} natpmp_link;

/* Errors: INVALID, ADDRESS, FORKED, and those from NO_MEMORY to NETLINK, except NO_PORT. */
NATPMPC_API int natpmp_get_link(natpmp_ctx *ctx, natpmp_link *link);

/* natpmp_unmap() without blocking: done (may be NULL) is called once with the result, as event
 * callbacks are, by natpmp_free() at the latest; not on error: INVALID, HELD, FORKED, NO_MEMORY. */
typedef void natpmp_done_fn(void *arg, int status);
NATPMPC_API int natpmp_start_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping,
				   natpmp_done_fn *done, void *arg);

/* Follow the gateway without holding a mapping: on_change is called, where event callbacks
 * are, for every change of the link, of whether the gateway answers, and of its external
 * address. NULL ends it. Errors: INVALID, FORKED. */
typedef struct natpmp_gateway {
	int status; /* NATPMP_PENDING = not known yet, NATPMP_OK = it answers, else why not */
	natpmp_link link;
	char external_address[NATPMP_ADDRESS_LEN]; /* "" = none known */
	uint32_t reserved[8];
} natpmp_gateway;
typedef void natpmp_watch_fn(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg);
NATPMPC_API int natpmp_watch(natpmp_ctx *ctx, natpmp_watch_fn *on_change, void *arg);

/* What answers at the gateway? For diagnosis: asks for the external address in NAT-PMP, then
 * whether PCP (RFC 6887) is spoken, by an ANNOUNCE request that changes nothing. Of a dialect
 * that the context may not use: NATPMP_PENDING. */
typedef struct natpmp_probe {
	int status;             /* of the NAT-PMP question: as natpmp_external_address() */
	int pcp_status;         /* of the PCP one: NATPMP_OK = spoken */
	uint32_t round_trip;    /* us, from the last send to the NAT-PMP answer; 0 = none came */
	uint32_t uptime;        /* s since the gateway's epoch began, by its own clock; 0 = not told */
	char external_address[NATPMP_ADDRESS_LEN];
	uint32_t pcp_round_trip, pcp_uptime; /* as the two above, of the PCP question */
	uint32_t reserved[6];
} natpmp_probe;

/* Blocks for two deadlines at most. Errors: INVALID, ADDRESS, BUSY, FORKED, and those from
 * NO_MEMORY to NETLINK, except NO_PORT; what the gateway did or did not answer is in the
 * probe, with NATPMP_OK. */
NATPMPC_API int natpmp_get_probe(natpmp_ctx *ctx, natpmp_probe *probe);

#ifdef __cplusplus
}
#endif

#endif
