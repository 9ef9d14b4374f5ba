"""Decodes HPACK blocks with Python's hpack.

Reads lines from the file that is named: `new`, `limit BYTES` for a table size that was acknowledged, and
`block HEX`. Prints a line for each block: its fields as `HEX:HEX`, separated by spaces.
"""

import sys

import hpack


def new():
    return hpack.Decoder(max_header_list_size=1 << 24)


decoder = new()
with open(sys.argv[1]) as lines:
    for line in lines:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "new":
            decoder = new()
        elif word == "limit":
            decoder.max_allowed_table_size = int(rest)
        elif word == "block":
            fields = decoder.decode(bytes.fromhex(rest), raw=True)
            print(" ".join(name.hex() + ":" + value.hex() for name, value in fields))
        else:
            sys.exit("not a line of ours: " + line)
