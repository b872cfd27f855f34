/*
 * An instance of a device that lives on another worker: requests travel there
 * and back by mailbox. For devices that allow only one connection.
 */
#ifndef MAIL_BLK_H
#define MAIL_BLK_H

#include "blk.h"

/*
 * "far" belongs to another loop and must outlive the new device. On far's loop, or
 * before that runs; what is opened is for "loop". NULL without memory.
 */
struct blkdev *mail_blk_open(struct blkdev *far, struct loop *loop);

#endif
