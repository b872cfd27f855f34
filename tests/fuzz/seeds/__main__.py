"""What the corpora of the fuzz programs begin with: an example of everything that there is
to say, from the specifications. Usage: python3 tests/fuzz/seeds DIRECTORY

Each is written to DIRECTORY/NAME/seed-WHAT for fuzz_NAME. HACKING says how a corpus is made
of these and of what libFuzzer finds."""
import os
import sys

import iscsi
import nbd
import scsi
import words

root = sys.argv[1]
for part in (iscsi, nbd, scsi, words):
    for program, name, content in part.seeds():
        os.makedirs(os.path.join(root, program), exist_ok=True)
        with open(os.path.join(root, program, "seed-" + name), "wb") as f:
            f.write(content)
