/*
 * An instance of a device that lives on another worker: requests travel there
 * and back by mailbox. For devices that allow only one connection.
 */
#ifndef MAIL_BLK_H
#define MAIL_BLK_H

#include "blk.h"

/*
 * "far" belongs to another loop and must outlive the new device. It may be running,
 * but not in use yet: its info is copied. Afterwards whatever changes there comes
 * along with the next answer. NULL without memory.
 */
struct blkdev *mail_blk_open(struct blkdev *far, struct loop *loop);

#endif
