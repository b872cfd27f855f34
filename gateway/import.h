/*
 * --import: what targetcli(8) has saved of an LIO target, as our configuration file.
 */
#ifndef IMPORT_H
#define IMPORT_H

/*
 * Read a saveconfig.json and print a configuration file to stdout. CHAP secrets go into
 * files below secrets_dir, which are written (mode 0600, none is replaced); if that is NULL, the
 * log tells which to make, and where. What cannot be kept is told in the log, too. Returns the
 * exit status: 0; 1, when a file cannot be read or written; 2, when it is no saveconfig.json.
 */
int import_run(const char *path, const char *secrets_dir);

#endif
