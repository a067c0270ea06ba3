#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""An example of a command: the most frequent words of a file.

The task's arguments come as JSON on standard input, the result goes as JSON to
standard output.  The last line on standard error is the message of a failure;
exit status 75 means "try again", any other but 0 is final.
"""

import collections
import errno
import json
import re
import sys

TRY_AGAIN = 75
BUSY = (errno.EAGAIN, errno.EMFILE, errno.ENFILE)


def main():
    args = json.load(sys.stdin)
    if not isinstance(args, dict) or "path" not in args:
        sys.exit('topwords wants {"path": FILE, "top": NUMBER}')
    try:
        with open(args["path"], encoding="utf-8", errors="replace") as file:
            words = re.findall(r"[^\W\d_]+", file.read().lower())
    except OSError as error:
        print(f"{args['path']}: {error.strerror}", file=sys.stderr)
        sys.exit(TRY_AGAIN if error.errno in BUSY else 1)
    top = collections.Counter(words).most_common(args.get("top", 10))
    print(json.dumps([{"word": word, "count": n} for word, n in top]))


main()
