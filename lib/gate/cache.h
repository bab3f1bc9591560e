/* The disk copy of rules that come from a server. In the folder of the cache:
 *
 *     b-<hash of the manifest>/   a bundle in the form of docs/bundle.md, whole or not there
 *     current                     a link to the one that was last in force
 *     tmp-…/                      one that is being fetched
 *
 * Several processes may share the folder: names are unique, and what is there is never changed,
 * only renamed into place or removed. */
#ifndef AICPI_GATE_CACHE_H
#define AICPI_GATE_CACHE_H

#include "lib/gate/gate_internal.h"

#define AICPI_CACHE_PATH 1024

/* Makes the folder and its parents, for this user only. */
aicp_status aicpi_cache_make(const char *cache, aicp_error *err);
/* Path of the bundle with this manifest hash. */
void aicpi_cache_bundle_path(const char *cache, const char *hash, char out[AICPI_CACHE_PATH]);
/* The manifest hash of the bundle that `current` names; ERR_NOT_FOUND. */
aicp_status aicpi_cache_current(const char *cache, char hash[65], aicp_error *err);
/* A new empty folder. */
aicp_status aicpi_cache_begin(const char *cache, char folder[AICPI_CACHE_PATH], aicp_error *err);
/* Takes over a file of another bundle's folder that should be the same in the new one; false: it is
 * not there. Its bytes are looked at when the whole is verified. */
bool aicpi_cache_reuse(const char *from, const char *to, const char *file, size_t size);
/* Writes a new file. Nothing waits for the disk: what a crash cuts off has another hash and is
 * fetched again. */
aicp_status
aicpi_cache_write(const char *folder, const char *file, aicpi_slice text, aicp_error *err);
/* Gives a finished folder its place. One that another process put there first stays. */
aicp_status
aicpi_cache_keep(const char *cache, const char *folder, const char *hash, aicp_error *err);
/* Has `current` name it and removes what is old. */
aicp_status aicpi_cache_point(const char *cache, const char *hash, aicp_error *err);
/* Removes a folder with the files in it. */
void aicpi_cache_remove(const char *folder);

#endif
