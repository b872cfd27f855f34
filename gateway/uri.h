/*
 * The URIs under which others reach us, for the log and for --run.
 */
#ifndef URI_H
#define URI_H

#include <stdbool.h>

/*
 * The NBD URI of the default export at a listener (address_local()'s text): a
 * wildcard address becomes loopback, a unix socket nbd+unix:///?socket=path; with nbds where
 * nobody is let in without TLS ("secure"). To be free()d; aborts without memory.
 */
char *uri_nbd(const char *listener, bool secure);

/* iscsi://host:port/target/lun, likewise. */
char *uri_iscsi(const char *listener, const char *target, unsigned lun);

#endif
