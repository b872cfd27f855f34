/*
 * The life of the process: open every device on every worker, listen, serve,
 * drain, close. Everything here happens on the main thread.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "conf.h"

/*
 * Serve what "conf", made of that command line, asks for until told to stop, or what the
 * command line asks for then when told to reload (SIGHUP, with --config). Takes from conf what
 * it opens; conf_free() is still to be called. Returns the exit status.
 */
int gateway_run(struct conf *conf, int argc, char **argv);

#endif
