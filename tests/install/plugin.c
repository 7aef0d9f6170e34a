/* SPDX-License-Identifier: MIT */
/*
 * plugin LIBRARY GATEWAY PORT - a program that loads the library when it wants a mapping and
 * unloads it afterwards, many times. Nothing of it may stay: no thread, no descriptor, no code.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <natpmpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not linked with the library: what is called is what was looked up. */
struct functions {
	__typeof__(&natpmp_new) create;
	__typeof__(&natpmp_with_mapping) with_mapping;
	__typeof__(&natpmp_free) destroy;
};

static int body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	*(int *)arg = mapping->external_port;
	return 0;
}

static int count(const char *folder)
{
	DIR *dir = opendir(folder);
	int entries = 0;

	while (dir && readdir(dir))
		entries++;
	if (dir)
		closedir(dir);
	return entries;
}

static int is_loaded(void)
{
	char line[4096];
	int loaded = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		loaded |= strstr(line, "libnatpmpc") != NULL;
	if (maps)
		fclose(maps);
	return loaded;
}

static void look_up(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
}

static int use(const char *path, const char *gateway, uint16_t port)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping wanted = {.protocol = NATPMP_TCP, .internal_port = 4711, .lifetime = 60};
	struct functions f;
	natpmp_ctx *ctx;
	int status, granted = 0;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return -1;
	}
	look_up(library, "natpmp_new", &f.create);
	look_up(library, "natpmp_with_mapping", &f.with_mapping);
	look_up(library, "natpmp_free", &f.destroy);
	options.gateway = gateway;
	options.gateway_port = port;
	status = f.create(&ctx, &options);
	if (status == NATPMP_OK)
		status = f.with_mapping(ctx, &wanted, body, &granted);
	f.destroy(ctx);
	if (!is_loaded() || granted == 0)
		status = -1;
	dlclose(library);
	return status;
}

int main(int argc, char **argv)
{
	int threads, descriptors;

	if (argc != 4)
		return 2;
	descriptors = count("/proc/self/fd");
	threads = count("/proc/self/task");
	for (int i = 0; i < 50; i++) {
		int status = use(argv[1], argv[2], (uint16_t)atoi(argv[3]));

		if (status != NATPMP_OK) {
			fprintf(stderr, "round %d: status %d\n", i, status);
			return 1;
		}
		if (is_loaded()) {
			fprintf(stderr, "round %d: dlclose() did not unload it\n", i);
			return 1;
		}
	}
	if (count("/proc/self/fd") != descriptors || count("/proc/self/task") != threads) {
		fprintf(stderr, "a descriptor or a thread stayed\n");
		return 1;
	}
	return 0;
}
