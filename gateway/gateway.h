/*
 * The life of the process: open every device on every worker, listen, serve,
 * drain, close. Everything here happens on the main thread.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "conf.h"

/* Serve what "conf" asks for until told to stop. Returns the exit status. */
int gateway_run(const struct conf *conf);

#endif
