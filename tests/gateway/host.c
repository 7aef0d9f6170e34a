/* SPDX-License-Identifier: MIT */
#include "host.h"

#include "bytes.h"

#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct model_host model_host_ipv4(uint32_t address)
{
	struct model_host host;

	memcpy(host.bytes, mapped, sizeof(mapped));
	put32(host.bytes + 12, address);
	return host;
}

bool model_host_is_ipv4(const struct model_host *host)
{
	return memcmp(host->bytes, mapped, sizeof(mapped)) == 0;
}

uint32_t model_host_number(const struct model_host *host)
{
	return model_host_is_ipv4(host) ? get32(host->bytes + 12) : 0;
}

bool model_host_equal(const struct model_host *a, const struct model_host *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
