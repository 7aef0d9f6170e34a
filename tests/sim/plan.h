/* SPDX-License-Identifier: MIT */
/*
 * plan - what happens, all of it decided by the seed: what the program does (plan.c), what goes
 * wrong (trouble.c), what others send in the gateway's name (forge.c).
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "world.h"

enum move {
	/* the program's */
	OPEN,    /* subject: the slot */
	RELEASE, /* the same; value: the serial of what it holds */
	RETRY,   /* the same */
	MAP,
	UNMAP,
	UNMAP_ALL,
	PROBE, /* subject: 1 = its end */
	/* the gateway's and the network's */
	DISTURB,  /* value: ms, the rest between two troubles */
	CALM,     /* subject: the trouble */
	ANNOUNCE, /* subject: 1 = as PCP does */
	FORGE,    /* an answer; subject, value: what is forged */
	FLOOD,    /* an announcement; the same */
	/* ours */
	LOOK, /* subject: 1 = an hour has passed */
};

/* What is forged: the subject ... */
enum { FORGED_ANY, FORGED_PCP, FORGED_ADDRESS };
/* ... and the value: what clock it shows. */
enum { CLOCK_TRUE, CLOCK_MAYBE_WILD, CLOCK_WILD };

void plan_later(struct world *w, uint64_t delay, enum move move, unsigned subject, uint64_t value);
uint32_t plan_lifetime(struct world *w);
uint32_t plan_address(struct world *w, unsigned gateway);

void trouble_begin(struct world *w);
void trouble_end(struct world *w, unsigned which);

#endif
